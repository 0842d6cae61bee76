"""Paired statistics on per-sample scores: deterministic, standard library only."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import Final

RESAMPLES: Final = 2_000
"""Bootstrap resamples; their seed is fixed, so equal scores give equal intervals."""

_MANY: Final = 2_000
"""Pairs from which on their mean is as good as normal, and resampling takes seconds."""


def sign_test(wins: int, losses: int) -> float:
    """Return the one-sided exact p-value of at least ``wins`` among wins and losses."""
    total = wins + losses
    if total == 0:
        return 1.0
    tail = sum(math.comb(total, k) for k in range(wins, total + 1))
    return float(tail / 2**total)


def wins_and_losses(
    parent: Sequence[float], candidate: Sequence[float]
) -> tuple[int, int]:
    """Count the samples on which the candidate is better, and those it is worse on."""
    pairs = list(zip(parent, candidate, strict=True))
    return sum(c > p for p, c in pairs), sum(c < p for p, c in pairs)


def mean_difference(parent: Sequence[float], candidate: Sequence[float]) -> float:
    """Return the mean of ``candidate - parent``, exactly 0 for equal totals."""
    pairs = zip(parent, candidate, strict=True)
    return math.fsum(c - p for p, c in pairs) / len(parent)


def paired_interval(
    parent: Sequence[float], candidate: Sequence[float], confidence: float = 0.95
) -> tuple[float, float]:
    """Return a confidence interval of the mean paired difference.

    Scores that are all 0 or 1 get Newcombe's interval for paired proportions; others a
    percentile bootstrap or, from 2,000 pairs on, the normal interval of a mean.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 2635, method 10.
    """
    if set(parent) | set(candidate) <= {0.0, 1.0}:
        return _newcombe(parent, candidate, confidence)
    differences = [c - p for p, c in zip(parent, candidate, strict=True)]
    return (_bootstrap if len(differences) < _MANY else _normal)(
        differences, confidence
    )


def wilson(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's confidence interval of a proportion."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = successes / n
    centre = p + z * z / (2 * n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _newcombe(
    parent: Sequence[float], candidate: Sequence[float], confidence: float
) -> tuple[float, float]:
    n = len(parent)
    old, new = fmean(parent), fmean(candidate)
    low_old, high_old = wilson(sum(parent), n, confidence)
    low_new, high_new = wilson(sum(candidate), n, confidence)
    phi = _correlation(parent, candidate)

    def reach(new_side: float, old_side: float) -> float:
        square = new_side**2 - 2 * phi * new_side * old_side + old_side**2
        return math.sqrt(max(0.0, square))

    difference = new - old
    low = difference - reach(new - low_new, high_old - old)
    high = difference + reach(high_new - new, old - low_old)
    return max(-1.0, low), min(1.0, high)


def _correlation(parent: Sequence[float], candidate: Sequence[float]) -> float:
    """Return Newcombe's phi: the correlation, with its continuity correction."""
    pairs = list(zip(parent, candidate, strict=True))
    both = sum(p == 1 and c == 1 for p, c in pairs)
    gained = sum(p == 0 and c == 1 for p, c in pairs)
    lost = sum(p == 1 and c == 0 for p, c in pairs)
    neither = len(pairs) - both - gained - lost
    spread = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if spread == 0:
        return 0.0
    excess = float(both * neither - gained * lost)
    if excess > 0:
        excess = max(0.0, excess - len(pairs) / 2)
    return excess / math.sqrt(spread)


def _normal(differences: Sequence[float], confidence: float) -> tuple[float, float]:
    n = len(differences)
    mean = math.fsum(differences) / n
    variance = math.fsum((d - mean) ** 2 for d in differences) / (n - 1)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance / n)
    return mean - reach, mean + reach


def _bootstrap(differences: Sequence[float], confidence: float) -> tuple[float, float]:
    rng, n = random.Random(0), len(differences)
    means = sorted(fmean(rng.choices(differences, k=n)) for _ in range(RESAMPLES))
    tail = int((1 - confidence) / 2 * RESAMPLES)
    return means[tail], means[-1 - tail]
