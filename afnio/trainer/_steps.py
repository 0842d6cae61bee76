"""What users' steps return, and how many samples a batch holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afnio._text import describe, shorten
from afnio._variable import Variable
from afnio.autodiff.evidence import Evidence
from afnio.errors import InputTypeError, InputValueError


@dataclass(frozen=True, slots=True)
class StepOutput:
    """One step's score, explanation and other metrics; values may be pending."""

    raw: Any
    values: Mapping[str, Any]
    explanation: Variable

    async def settle(self) -> None:
        """Wait until every value is ready."""
        for value in (*self.values.values(), self.explanation):
            if isinstance(value, Variable):
                await value

    def metrics(self) -> dict[str, Any]:
        """Return the values as plain data; they must be ready."""
        return {
            name: value.data if isinstance(value, Variable) else value
            for name, value in self.values.items()
        }

    def evidence(self) -> list[Evidence]:
        """Return what the evaluator has noted per sample: those that have a score."""
        records = self.values["loss"].evidence
        return [each for each in records if isinstance(each.score, (int, float))]

    def scores(self) -> list[float]:
        """Return the scores of `evidence`."""
        return [float(each.score) for each in self.evidence()]


def parse_output(hook: str, output: Any) -> StepOutput | None:
    """Check what a step returned; None means that the batch is skipped.

    Args:
        hook: The step's name, for messages.
        output: ``(score, explanation)``, a dict with that pair as ``loss``, or None.

    Raises:
        InputValueError: It is something else.
        InputTypeError: Score and explanation are not Variables.
    """
    if output is None:
        return None
    if isinstance(output, Mapping):
        if "loss" not in output:
            raise InputValueError(
                f"{hook} returned a dict without the key 'loss'; it has "
                f"{shorten(list(output))}."
            )
        pair, extra = output["loss"], dict(output)
    else:
        pair, extra = output, {}
    score, explanation = _pair(hook, pair)
    return StepOutput(output, {**extra, "loss": score}, explanation)


def _pair(hook: str, pair: Any) -> tuple[Variable, Variable]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:  # noqa: PLR2004 - a pair
        raise InputValueError(
            f"{hook} must return (score, explanation), a dict with that pair as "
            f"'loss', or None; got {describe(pair)}."
        )
    if not all(isinstance(item, Variable) for item in pair):
        kinds = ", ".join(type(item).__name__ for item in pair)
        raise InputTypeError(
            f"{hook} returned ({kinds}); score and explanation must be Variables, as "
            "evaluators return them."
        )
    return pair[0], pair[1]


def get_batch_size(batch: Any) -> int:
    """Return how many samples ``batch`` holds.

    A Variable counts its list, a dict its first value, a tuple its first element, a
    list itself (or, of Variables that hold lists, the first one's list); anything else
    is one sample.

    Raises:
        InputValueError: The batch is empty.

    Examples:
        >>> get_batch_size((Variable(["x", "y"]), [0, 1]))
        2
    """
    if isinstance(batch, Variable):
        data = batch.data
        size = len(data) if isinstance(data, list) else 1
    elif isinstance(batch, Mapping):
        first = next(iter(batch.values()), ())
        size = get_batch_size(first) if _is_many(first) else len(batch) and 1
    elif isinstance(batch, tuple):
        size = get_batch_size(batch[0]) if batch else 0
    elif isinstance(batch, list):
        nested = batch and isinstance(batch[0], Variable) and _is_many(batch[0])
        size = get_batch_size(batch[0]) if nested else len(batch)
    else:
        size = 1
    if not size:
        raise InputValueError(f"the batch is empty: {shorten(batch)}.")
    return size


def _is_many(value: Any) -> bool:
    if isinstance(value, Variable):
        return isinstance(value.data, list)
    return isinstance(value, (list, tuple)) and bool(value)
