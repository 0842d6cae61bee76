"""What a program must reach: the thresholds of an evaluation in CI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from afnio._text import describe
from afnio.errors import InputTypeError, InputValueError
from afnio.evaluation._compare import compare
from afnio.evaluation._result import Evaluation


class Check(NamedTuple):
    """One threshold, and whether it holds."""

    name: str
    """``errors``, ``score`` or ``regression``."""
    passed: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What an evaluation must reach.

    Raises:
        InputTypeError: A threshold is not a number.
        InputValueError: It is negative where that makes no sense.
    """

    min_score: float | None = None
    """The lowest mean score."""

    max_regression: float | None = 0.0
    """How far the paired mean may fall below the baseline's; None allows any fall. It
    needs a baseline."""

    max_errors: int = 0
    """How many samples may fail."""

    sure: bool = False
    """Whether a score or a fall counts only if its whole 95 % interval is beyond the
    threshold. With few samples that lets real regressions pass; without it, chance
    alone can fail a check whose calls are not replayed."""

    def __post_init__(self) -> None:
        for name in ("min_score", "max_regression", "max_errors"):
            value = getattr(self, name)
            if value is None and name != "max_errors":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputTypeError(f"{name} is {describe(value)}; expected a number.")
            if not value >= 0 and name != "min_score":
                raise InputValueError(f"{name} is {value}; expected 0 or more.")

    def check(
        self, evaluation: Evaluation, baseline: Evaluation | None = None
    ) -> list[Check]:
        """Return every threshold that applies, and whether it holds.

        Raises:
            InputValueError: The baseline has no scored sample in common.
        """
        return [*self._checks(evaluation, baseline)]

    def _checks(
        self, evaluation: Evaluation, baseline: Evaluation | None
    ) -> Iterator[Check]:
        yield self._errors(evaluation)
        if self.min_score is not None:
            yield self._score(evaluation, self.min_score)
        if baseline is not None and self.max_regression is not None:
            yield self._regression(evaluation, baseline, self.max_regression)

    def _errors(self, evaluation: Evaluation) -> Check:
        count = len(evaluation.errors)
        message = f"{count} of {len(evaluation.samples)} samples failed"
        return Check(
            "errors", count <= self.max_errors, f"{message}, allowed: {self.max_errors}"
        )

    def _score(self, evaluation: Evaluation, least: float) -> Check:
        mean, interval = evaluation.mean, evaluation.interval
        if mean is None:
            return Check("score", passed=False, message="no sample has a score")
        highest = interval[1] if self.sure and interval is not None else mean
        return Check(
            "score", highest >= least, f"score {mean:.4g}, at least: {least:.4g}"
        )

    def _regression(
        self, evaluation: Evaluation, baseline: Evaluation, most: float
    ) -> Check:
        if not evaluation.scores:
            return Check("regression", passed=False, message="no sample has a score")
        found = compare(baseline, evaluation)
        highest = found.interval[1] if self.sure else found.mean
        low, high = found.interval
        message = (
            f"change {found.mean:+.4g} [{low:+.4g}, {high:+.4g}] from {found.before!r} "
            f"over {len(found.pairs)} samples, allowed fall: {most:.4g}"
        )
        return Check("regression", highest >= -most - _ROUNDING, message)


_ROUNDING = 1e-12
"""What the sums of floating point numbers may be off by."""
