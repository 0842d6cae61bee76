"""What is known about a candidate's way through training samples."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from afnio._dispatch import call_user, gather
from afnio._variable import Variable
from afnio.autodiff import agrad
from afnio.autodiff.credit import credit_mode
from afnio.autodiff.grad_mode import enable_grad
from afnio.errors import InputTypeError
from afnio.optim._scores import Scores, asettle, roots_of, sample_scores
from afnio.optim._tasks import said_in
from afnio.optim._trials import Installed, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What went wrong, for each parameter."""

    grads: tuple[tuple[Variable, ...], ...]
    """Feedback on each parameter."""
    numbers: tuple[int, ...] = ()
    """Which training samples it was; none if they cannot be evaluated again."""
    scores: Scores = ()
    """Their scores."""

    @property
    def has_feedback(self) -> bool:
        """Whether there is anything to improve."""
        return any(said_in(grads) for grads in self.grads)


def train_size(closure: Any) -> int:
    """Return how many training samples a closure has.

    Raises:
        InputTypeError: It does not say.
    """
    size = getattr(closure, "train_size", None)
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InputTypeError(
            "a closure with train needs train_size, the number of training samples; "
            f"got {size!r}."
        )
    return size


async def findings_on(
    closure: Any, values: Values, numbers: Sequence[int], mode: str
) -> Findings:
    """Evaluate training samples with these values, and ask what was wrong.

    Args:
        closure: Its ``train`` is called.
        values: Data of all parameters of the optimizer.
        numbers: Of the samples.
        mode: "passthrough" asks no critic; otherwise the ambient mode holds.
    """
    [found] = await rollouts_on(closure, values, numbers, mode, 1)
    return found


async def rollouts_on(
    closure: Any, values: Values, numbers: Sequence[int], mode: str, count: int
) -> list[Findings]:
    """Do the same ``count`` times, at the same time: answers may vary.

    While all parameters are frozen there is nothing to find, and nothing is run.
    """
    if not any(param.requires_grad for param in values):
        return [Findings(grads=tuple(() for _ in values)) for _ in range(count)]
    credit: AbstractContextManager[None] = nullcontext()
    if mode == "passthrough":
        credit = credit_mode("passthrough")
    with Installed(values), credit, enable_grad():
        results = [await call_user(closure.train, tuple(numbers)) for _ in range(count)]
        await asettle(results)
        return await gather(_found_in(result, values, numbers) for result in results)


async def _found_in(result: Any, values: Values, numbers: Sequence[int]) -> Findings:
    trained = [param for param in values if param.requires_grad]
    found = await agrad(roots_of(result), trained, allow_unused=True)
    known = dict(zip(trained, found, strict=True))
    grads = tuple(
        () if (grad := known.get(param)) is None else (grad,) for param in values
    )
    await asettle([list(each) for each in grads])
    scores = tuple(sample_scores(result))
    return Findings(grads=grads, numbers=tuple(numbers), scores=scores)
