"""Validation, test and prediction: dispatch many batches, then read them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from afnio._dispatch import gather, run_sync
from afnio._loop import outcome_of
from afnio._variable import Variable
from afnio.autodiff.grad_mode import no_grad
from afnio.cognitive.modules.module import Module
from afnio.errors import InputValueError
from afnio.models import call_role
from afnio.trainer._hooks import call_step, evaluating, fire, step_named, windows
from afnio.trainer._metrics import Meter
from afnio.trainer._samples import SampleScores
from afnio.trainer._steps import StepOutput, get_batch_size, parse_output

if TYPE_CHECKING:
    from afnio.trainer._state import TrainerState

IN_FLIGHT: Final = 512
"""Batches dispatched before the first of them is read."""

MAX_BLOCKS: Final = 5
"""Parts that validation batches are divided into, for gates that look early."""

MAX_OUTCOMES: Final = 500
"""Samples of a pass whose inputs and outputs are kept."""

PREFIXES: Final = {"validation": "val_", "test": "test_"}
"""What the names of metrics start with."""


@dataclass(slots=True)
class Evaluation:
    """What a pass over some batches found."""

    meter: Meter = field(default_factory=Meter)
    scores: SampleScores = field(default_factory=lambda: SampleScores(MAX_OUTCOMES))
    """One per sample, where evaluators have noted them."""
    outputs: list[Any] = field(default_factory=list)
    """What ``predict_step`` returned."""
    batches: int = 0


def weight_of(batch: Any) -> int:
    """Return the samples in a batch; 1 where that cannot be told."""
    try:
        return get_batch_size(batch)
    except InputValueError:
        return 1


def length_of(loader: Any) -> int | None:
    """Return how many batches there are, if the loader knows."""
    try:
        return len(loader)
    except TypeError:
        return None


class EvaluationLoop:
    """One pass of one kind: ``validation``, ``test`` or ``predict``.

    The metrics so far are in ``trainer.logged_metrics`` while it runs.
    """

    def __init__(self, trainer: TrainerState, agent: Module, kind: str) -> None:
        self._trainer = trainer
        self._agent = agent
        self._kind = kind
        self._name = f"{kind}_step"
        self._step: Callable[..., Any] = getattr(agent, self._name)
        one_by_one = not asyncio.iscoroutinefunction(self._step)
        at_once = trainer.settings.concurrent_steps if one_by_one else IN_FLIGHT
        self._turn = asyncio.Semaphore(at_once)
        self._found = Evaluation()

    async def run(self, loader: Iterable[Any]) -> Evaluation:
        """Evaluate every batch.

        Raises:
            InputValueError: There are no batches.
        """
        self._trainer.totals[self._kind] = length_of(loader)
        with evaluating(self._agent), self._role():
            await self._fire("start")
            await self._fire("epoch_start")
            async for window in windows(loader, IN_FLIGHT):
                await self._run_window(window)
            if not self._found.batches:
                raise InputValueError(
                    f"the {self._kind} loader gave no batches; a generator can be read "
                    "only once: pass a list or a DataLoader."
                )
            await self._fire("epoch_end")
            await self._fire("end")
        return self._found

    def _role(self) -> AbstractContextManager[None]:
        """Keep the calls of a test apart from those of training."""
        return call_role("test") if self._kind == "test" else nullcontext()

    async def _fire(self, when: str, *args: Any) -> None:
        await fire(self._trainer, self._agent, f"on_{self._kind}_{when}", *args)

    async def _run_window(self, window: Sequence[tuple[int, Any]]) -> None:
        tasks = [
            asyncio.ensure_future(outcome_of(self._dispatch(number, batch)))
            for number, batch in window
        ]
        try:
            for (number, batch), task in zip(window, tasks, strict=True):
                output, error = await task
                if error is not None:
                    raise error
                raw = await self._read(output, batch)
                self._found.batches += 1
                await self._fire("batch_end", raw, batch, number)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _dispatch(self, number: int, batch: Any) -> Any:
        async with self._turn:
            await self._fire("batch_start", batch, number)
            with step_named(self._agent, self._name, batch):
                output = await call_step(self._step, batch, number)
        return output if self._kind == "predict" else parse_output(self._name, output)

    async def _read(self, output: Any, batch: Any) -> Any:
        """Wait for a batch's values and count them; return what the step returned."""
        if isinstance(output, StepOutput):
            await output.settle()
            size = weight_of(batch)
            evidence = output.evidence()
            scores = output.scores()
            self._found.meter.add(output.metrics(), size, scores)
            self._found.scores.add(batch, size, scores, evidence)
            means = self._found.meter.means(PREFIXES[self._kind])
            self._trainer.logged_metrics.update(means)
            self._trainer.mean_scores[self._kind] = self._found.meter.mean_score
            return output.raw
        await settle(output)
        if self._kind == "predict":
            self._found.outputs.append(output)
        return output


async def settle(value: Any) -> None:
    """Wait for every Variable in nested containers."""
    if isinstance(value, Variable):
        await value
    elif isinstance(value, dict):
        await settle(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            await settle(item)


class ValidationClosure:
    """Evaluates an agent as it is now on validation batches, for optimizers.

    It only dispatches: the scores it returns may be pending, and later changes of the
    parameters do not touch them. So several candidates can be evaluated concurrently.

    Args:
        agent: Whose ``validation_step`` is called.
        batches: Always the same ones, so that scores are paired.

    Attributes:
        blocks: Into how many parts the batches can be divided, so that an optimizer
            may stop before the last of them.
        parameters: Gives all Variables that the results depend on, so that an
            optimizer may keep the scores of values it has seen.
    """

    def __init__(self, agent: Module, batches: Sequence[Any]) -> None:
        self._agent = agent
        self._step: Callable[..., Any] = agent.validation_step
        self.parameters = agent.parameters
        self._batches = list(enumerate(batches))
        self.blocks = max(1, min(MAX_BLOCKS, len(batches)))

    def __call__(self, block: int | None = None) -> list[Any]:
        """Return the results of the steps: of all batches, or of one block, from 0."""
        batches = self._batches
        if block is not None:
            size = len(batches)
            start, end = (size * (block + k) // self.blocks for k in (0, 1))
            batches = batches[start:end]
        with no_grad():
            if asyncio.iscoroutinefunction(self._step):
                outputs = run_sync(gather(self._ask(b, n) for n, b in batches))
            else:
                outputs = [self._ask_now(batch, number) for number, batch in batches]
        parsed = [parse_output("validation_step", output) for output in outputs]
        return [output.raw for output in parsed if output is not None]

    async def _ask(self, batch: Any, number: int) -> Any:
        with step_named(self._agent, "validation_step", batch):
            return await self._step(batch, number)

    def _ask_now(self, batch: Any, number: int) -> Any:
        with step_named(self._agent, "validation_step", batch):
            return self._step(batch, number)
