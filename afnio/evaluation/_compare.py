"""Two evaluations, compared sample by sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from afnio._text import describe
from afnio.errors import InputTypeError, InputValueError
from afnio.evaluation._result import Evaluation, SampleResult
from afnio.optim._statistics import (
    mean_difference,
    paired_interval,
    sign_test,
    wins_and_losses,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The paired difference of two evaluations: after minus before.

    ``print(comparison)`` shows it in short.
    """

    before: str
    """The name of the earlier evaluation."""
    after: str
    pairs: tuple[tuple[SampleResult, SampleResult], ...]
    """Samples that both have scored, before and after, in the order of after."""
    unpaired_before: int
    """Samples before that have no pair: they are missing after, or have an error."""
    unpaired_after: int

    mean: float
    """The mean change of the score."""
    interval: tuple[float, float]
    """The 95 % confidence interval of the mean change: Newcombe's for paired
    proportions where all scores are 0 or 1, else a bootstrap with a fixed seed."""
    better: int
    """Samples whose score rose."""
    worse: int
    """Samples whose score fell."""
    p_value: float
    """The two-sided exact sign test: how surprising this is if neither is better."""

    @property
    def equal(self) -> int:
        """Samples whose score stayed."""
        return len(self.pairs) - self.better - self.worse

    def changed(self) -> list[tuple[SampleResult, SampleResult]]:
        """Return the pairs whose score differs, the greatest loss first."""
        pairs = [pair for pair in self.pairs if pair[0].score != pair[1].score]
        return sorted(pairs, key=lambda p: (p[1].score or 0) - (p[0].score or 0))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data, with the samples that changed."""
        return {
            "before": self.before,
            "after": self.after,
            "samples": len(self.pairs),
            "unpaired_before": self.unpaired_before,
            "unpaired_after": self.unpaired_after,
            "difference": self.mean,
            "interval": list(self.interval),
            "better": self.better,
            "worse": self.worse,
            "equal": self.equal,
            "p_value": self.p_value,
            "changed": [
                {"before": asdict(first), "after": asdict(last)}
                for first, last in self.changed()
            ],
        }

    def __str__(self) -> str:
        from afnio.evaluation._words import comparison_lines

        return "\n".join(comparison_lines(self))


def compare(before: Evaluation, after: Evaluation) -> Comparison:
    """Pair two evaluations by the contents of their samples.

    The order of the data does not matter. Samples that only one of them has scored are
    counted and left out.

    Raises:
        InputTypeError: An argument is not an Evaluation.
        InputValueError: They have no scored sample in common.

    Examples:
        >>> from afnio.evaluation import evaluate
        >>> data = [("a", "A"), ("b", "b")]
        >>> change = compare(evaluate(str.lower, data), evaluate(str.upper, data))
        >>> change.mean, change.better, change.worse
        (0.0, 1, 1)
    """
    for each in (before, after):
        if not isinstance(each, Evaluation):
            raise InputTypeError(f"compare got {describe(each)}; expected Evaluation.")
    known = dict(_scored(before.samples))
    pairs = tuple(
        (known[name], sample)
        for name, sample in _scored(after.samples)
        if name in known
    )
    if not pairs:
        raise InputValueError(
            f"{before.name!r} and {after.name!r} have no scored sample in common, so "
            "they cannot be compared; evaluate both on the same data."
        )
    old = [float(first.score or 0) for first, _ in pairs]
    new = [float(last.score or 0) for _, last in pairs]
    better, worse = wins_and_losses(old, new)
    return Comparison(
        before=before.name,
        after=after.name,
        pairs=pairs,
        unpaired_before=len(before.samples) - len(pairs),
        unpaired_after=len(after.samples) - len(pairs),
        mean=mean_difference(old, new),
        interval=paired_interval(old, new),
        better=better,
        worse=worse,
        p_value=min(1.0, 2 * sign_test(max(better, worse), min(better, worse))),
    )


def _scored(
    samples: Iterable[SampleResult],
) -> Iterator[tuple[tuple[str, int], SampleResult]]:
    """Yield scored samples and their names; equal samples are numbered."""
    seen: Counter[str] = Counter()
    for sample in samples:
        name = (sample.key, seen[sample.key])
        seen[sample.key] += 1
        if sample.score is not None:
            yield name, sample
