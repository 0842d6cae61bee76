"""One training step: clear gradients, evaluate, send feedback back, step."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeVar

from afnio._dispatch import call_user
from afnio._variable import Variable
from afnio.autodiff import abackward
from afnio.autodiff.credit import credit_mode
from afnio.autodiff.grad_mode import is_grad_enabled
from afnio.cognitive.modules.module import Module
from afnio.errors import InputTypeError, ModelError, StateError
from afnio.trainer._hooks import call_step, fire, modes_kept, step_named
from afnio.trainer._steps import StepOutput, parse_output

if TYPE_CHECKING:
    from afnio.trainer._evaluate import ValidationClosure
    from afnio.trainer.trainer import Trainer

T = TypeVar("T")
Window = list[tuple[int, Any]]
"""Numbered batches that go into one step."""

_logger: Final = logging.getLogger(__name__)


class StepRunner:
    """Runs the steps of one fit.

    Args:
        trainer: Whose settings and callbacks apply.
        agent: What is trained.
        optimizers: All of them step once per window.
        closure: Evaluates the agent, for optimizers that want to.
    """

    def __init__(
        self,
        trainer: Trainer,
        agent: Module,
        optimizers: Sequence[Any],
        closure: ValidationClosure | None,
    ) -> None:
        self._trainer = trainer
        self._agent = agent
        self._optimizers = optimizers
        self._closure = closure

    async def run(self, window: Window) -> Sequence[StepOutput | None]:
        """Make one step; return one output per batch, None where it was skipped.

        Nothing is stepped if all batches were skipped. A failure leaves the parameters
        as they were.
        """
        if not self._agent.automatic_optimization:
            return await self._forward(window)
        for optimizer in self._optimizers:
            await self._fire("on_before_zero_grad", optimizer)
            await call_user(optimizer.clear_grad)
        outputs = await self._retrying(lambda: self._forward(window))
        roots = [output.explanation for output in outputs if output is not None]
        if roots:
            self._check_trains(roots[0])
            await self._update(roots)
        return outputs

    def _check_trains(self, root: Variable) -> None:
        """Say why there is nothing to send feedback to, in words of what was passed.

        Raises:
            StateError: No Parameter requires grad, or grad is off.
        """
        if root.requires_grad:
            return
        name = type(self._agent).__name__
        if not is_grad_enabled():
            raise StateError(
                f"fit({name}) under no_grad(): nothing is recorded, so nothing can be "
                "trained. Call fit() outside of it."
            )
        if not any(param.requires_grad for param in self._agent.parameters()):
            raise StateError(
                f"no Parameter of {name} requires grad, so there is nothing to train; "
                "make them Parameter(..., requires_grad=True), or call "
                "requires_grad_() on what was frozen."
            )

    async def _update(self, roots: list[Any]) -> None:
        self._trainer.journal.graph(roots[0])
        for root in roots:
            await self._fire("on_before_backward", root)
        with self._credit():
            await self._retrying(lambda: abackward(roots))
        await self._fire("on_after_backward")
        self._trainer.journal.evidence(self._agent)
        for optimizer in self._optimizers:
            await self._fire("on_before_optimizer_step", optimizer)
            await self._retrying(lambda each=optimizer: self._step(each))  # type: ignore[misc]

    def _credit(self) -> AbstractContextManager[None]:
        """Spare the critic calls if every optimizer reads the evidence itself."""
        wishes = [getattr(each, "credit_mode", None) for each in self._optimizers]
        if wishes and all(wish == "passthrough" for wish in wishes):
            return credit_mode("passthrough")
        return nullcontext()

    async def _forward(self, window: Window) -> list[StepOutput | None]:
        """Dispatch the batches of a window, then wait for their values."""
        outputs = [await self._dispatch(number, batch) for number, batch in window]
        for output in outputs:
            if output is not None:
                await output.settle()
        return outputs

    async def _dispatch(self, number: int, batch: Any) -> StepOutput | None:
        with step_named(self._agent, "training_step", batch):
            output = await call_step(self._agent.training_step, batch, number)
        return parse_output("training_step", output)

    async def _step(self, optimizer: Any) -> None:
        args = (self._closure,) if needs_closure(optimizer) else ()
        with modes_kept(self._agent):
            if args:
                self._agent.eval()
            if hasattr(optimizer, "astep"):
                await optimizer.astep(*args)
            else:
                await call_user(optimizer.step, *args)

    async def finish(self) -> bool:
        """Apply the return rule of the optimizers that have one; say whether any has.

        It is applied once: a fit that is resumed after it does not pay for it again.
        """
        waiting = [
            optimizer
            for optimizer in self._optimizers
            if hasattr(optimizer, "afinish")
            and not getattr(optimizer, "is_finished", False)
        ]
        for optimizer in waiting if self._closure is not None else ():
            with modes_kept(self._agent):
                self._agent.eval()
                await self._retrying(lambda each=optimizer: each.afinish(self._closure))  # type: ignore[misc]
        return bool(waiting)

    async def _retrying(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat ``work`` while its model calls fail in a way that may pass."""
        for left in range(self._trainer.settings.max_retries, 0, -1):
            try:
                return await work()
            except ModelError as error:
                if not error.retryable:
                    raise
                self._trainer.retries += 1
                _logger.warning("%s; %d retries left", error, left)
        return await work()

    async def _fire(self, name: str, *args: Any) -> None:
        await fire(self._trainer, self._agent, name, *args)


def needs_closure(optimizer: Any) -> bool:
    """Whether the optimizer evaluates the program itself."""
    return bool(getattr(optimizer, "requires_closure", False))


def as_optimizers(made: Any) -> list[Any]:
    """Return what ``configure_optimizers`` has made as a list.

    Raises:
        InputTypeError: Something in it is not an optimizer.
    """
    if made is None:
        return []
    optimizers = list(made) if isinstance(made, (list, tuple)) else [made]
    for optimizer in optimizers:
        if not all(hasattr(optimizer, name) for name in ("step", "clear_grad")):
            raise InputTypeError(
                "configure_optimizers() must return an optimizer or a list of them; "
                f"got {type(optimizer).__name__}."
            )
    return optimizers
