"""Statistics of searches that may never arrive: medians, restarts, intervals, tests."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a run reached its target, or when it was given up."""

    calls: int
    reached: bool


def km_median(arrivals: Sequence[Arrival]) -> float:
    """Return the Kaplan-Meier median of the calls to the target.

    Returns:
        Infinity if half of the runs would not have arrived within the budget.
    """
    alive, share = len(arrivals), 1.0
    for calls in sorted({arrival.calls for arrival in arrivals}):
        here = [arrival for arrival in arrivals if arrival.calls == calls]
        share *= 1 - sum(arrival.reached for arrival in here) / alive
        if share <= 0.5:
            return float(calls)
        alive -= len(here)
    return math.inf


def expected_running_time(arrivals: Sequence[Arrival]) -> float:
    """Return all calls spent per arrival: what restarting until success would cost."""
    reached = sum(arrival.reached for arrival in arrivals)
    return sum(arrival.calls for arrival in arrivals) / reached if reached else math.inf


def mean(values: Sequence[float]) -> float:
    """Return the mean, exactly rounded."""
    return math.fsum(values) / len(values)


def iqm(values: Sequence[float]) -> float:
    """Return the mean of the middle half."""
    ordered, cut = sorted(values), len(values) // 4
    return mean(ordered[cut : len(ordered) - cut])


def decile(values: Sequence[float]) -> float:
    """Return the mean of the worst tenth, at least of the worst value."""
    return mean(sorted(values)[: max(1, len(values) // 10)])


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = mean,
    draws: int = 2_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic."""
    rng = random.Random(seed)
    found = sorted(statistic(rng.choices(values, k=len(values))) for _ in range(draws))
    return found[int(0.025 * draws)], found[math.ceil(0.975 * draws) - 1]


def stratified_bootstrap(
    strata: Sequence[Sequence[float]], draws: int = 2_000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the interquartile mean over all strata."""
    rng = random.Random(seed)
    found = sorted(
        iqm([x for values in strata for x in rng.choices(values, k=len(values))])
        for _ in range(draws)
    )
    return found[int(0.025 * draws)], found[math.ceil(0.975 * draws) - 1]


def improvement(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the share of pairs in which ours is higher; ties count half."""
    pairs = list(zip(ours, theirs, strict=True))
    return mean([(a > b) + (a == b) / 2 for a, b in pairs])


def sign_test(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the exact two-sided p of the paired sign test; ties are left out."""
    pairs = list(zip(ours, theirs, strict=True))
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(max(wins, losses), n + 1))
    return min(1.0, 2 * tail / 2**n)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p values adjusted for making several comparisons, by Holm's method."""
    ordered = sorted(p_values, key=p_values.__getitem__)
    adjusted, floor = {}, 0.0
    for rank, name in enumerate(ordered):
        floor = max(floor, min(1.0, (len(ordered) - rank) * p_values[name]))
        adjusted[name] = floor
    return adjusted


def false_gain_rate(rate: float, runs: int) -> float:
    """Return the share of false gains that chance exceeds in 5 % of all tables."""
    total = 0.0
    for count in range(runs + 1):
        total += math.comb(runs, count) * rate**count * (1 - rate) ** (runs - count)
        if total >= 0.95:
            return count / runs
    return 1.0


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation, 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
