"""How far an evaluator can be trusted: its scores against the labels of people."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

from afnio._text import describe, shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError

_Z: Final = NormalDist().inv_cdf(0.975)

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well scores agree with labels; intervals are at 95 %."""

    n: int
    """Samples that have both a score and a label."""
    missing: int
    """Samples left out, because one of the two is missing."""
    accuracy: float
    """Share of equal pairs."""
    accuracy_interval: Interval
    """Wilson's interval."""
    kappa: float | None
    """Cohen's kappa: 1 is agreement, 0 what chance would give; None where all pairs are
    one and the same value, so that chance alone would agree."""
    kappa_interval: Interval | None
    """Large-sample interval; without width where all pairs are equal, so that only
    ``accuracy_interval`` tells how little is known."""

    def __str__(self) -> str:
        low, high = self.accuracy_interval
        text = f"accuracy {self.accuracy:.3f} [{low:.3f}, {high:.3f}]"
        if self.kappa is not None and self.kappa_interval is not None:
            low, high = self.kappa_interval
            text += f", kappa {self.kappa:.3f} [{low:.3f}, {high:.3f}]"
        return f"{text}, n = {self.n}"


def agreement(scores: Variable | Iterable[Any], labels: Iterable[Any]) -> Agreement:
    """Compare an evaluator's scores with labels, as categories.

    Args:
        scores: One per sample, or the score Variable of an evaluator, whose samples'
            scores are taken whatever the reduction. Map scores of many values to
            categories first.
        labels: What people said, one per sample. None, here or among the scores, leaves
            the sample out: it was not judged.

    Raises:
        InputTypeError: A score or label is no plain value.
        InputValueError: The lengths differ, or no sample has both.

    Source: J. Cohen, Educational and Psychological Measurement 20 (1960) 37; variance
    by J. L. Fleiss, J. Cohen, B. S. Everitt, Psychological Bulletin 72 (1969) 323.

    Examples:
        >>> print(agreement([1, 1, 0, 0], [1, 0, 0, 0]))
        accuracy 0.750 [0.301, 0.954], kappa 0.500 [-0.235, 1.000], n = 4
    """
    column, names = _column(scores), list(labels)
    if len(column) != len(names):
        raise InputValueError(
            f"scores is a {describe(column)}, labels is a {describe(names)}; every "
            "score needs its label."
        )
    pairs = [
        (score, label)
        for score, label in zip(column, names, strict=True)
        if score is not None and label is not None
    ]
    if not pairs:
        raise InputValueError("no sample has both a score and a label.")
    _check(pairs)
    right = sum(score == label for score, label in pairs)
    kappa, interval = _kappa(pairs)
    return Agreement(
        n=len(pairs),
        missing=len(column) - len(pairs),
        accuracy=right / len(pairs),
        accuracy_interval=_wilson(right, len(pairs)),
        kappa=kappa,
        kappa_interval=interval,
    )


def _column(scores: Variable | Iterable[Any]) -> list[Any]:
    if isinstance(scores, Variable):
        if scores.evidence:
            return [record.score for record in scores.evidence]
        return scores.data if isinstance(scores.data, list) else [scores.data]
    return list(scores)


def _check(pairs: Sequence[tuple[Any, Any]]) -> None:
    for value in (item for pair in pairs for item in pair):
        if not isinstance(value, Hashable) or value != value:  # noqa: PLR0124 - NaN
            raise InputTypeError(
                "scores and labels must be plain values such as 1, True or 'good', got "
                f"{type(value).__name__}: {shorten(value)}."
            )


def _wilson(successes: int, n: int) -> Interval:
    p, square = successes / n, _Z * _Z
    centre = p + square / (2 * n)
    spread = _Z * math.sqrt(p * (1 - p) / n + square / (4 * n * n))
    scale = 1 + square / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _kappa(pairs: Sequence[tuple[Any, Any]]) -> tuple[float | None, Interval | None]:
    """Return kappa and its interval, from the proportions of the pairs."""
    n = len(pairs)
    cells = {pair: count / n for pair, count in Counter(pairs).items()}
    rows: defaultdict[Any, float] = defaultdict(float)
    columns: defaultdict[Any, float] = defaultdict(float)
    for (score, label), share in cells.items():
        rows[score] += share
        columns[label] += share
    observed = sum(share for (a, b), share in cells.items() if a == b)
    chance = sum(rows[name] * columns[name] for name in rows)
    if chance >= 1 - 1e-12:
        return None, None
    kappa = (observed - chance) / (1 - chance)
    variance = -((observed * chance - 2 * chance + observed) ** 2)
    for (a, b), share in cells.items():
        if a == b:
            term = (1 - chance) - (rows[a] + columns[a]) * (1 - observed)
        else:
            term = (1 - observed) * (columns[a] + rows[b])
        variance += share * term**2
    reach = _Z * math.sqrt(max(0.0, variance) / n) / (1 - chance) ** 2
    return kappa, (max(-1.0, kappa - reach), min(1.0, kappa + reach))
