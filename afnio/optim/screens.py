"""Screens: which of many candidates to evaluate on everything.

A screen is a rule: it sees the mean scores of every candidate on the blocks of samples
that it was evaluated on so far, and says who goes on to the next block. All candidates
see the blocks in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol, TypeAlias, runtime_checkable

from afnio.errors import InputValueError
from afnio.optim._checks import require_number

__all__ = ["UCB", "Halving", "Screen", "Seen"]

Seen: TypeAlias = Mapping[int, Sequence[float]]
"""By number of a candidate, its mean score on each block that it has seen."""


@runtime_checkable
class Screen(Protocol):
    """Chooses who is evaluated further, and who goes on in the end."""

    def pulls(self, seen: Seen, blocks: int, wanted: int) -> list[int]:
        """Return who is evaluated on their next block; nobody when that is enough."""

    def keep(self, seen: Seen, wanted: int) -> list[int]:
        """Return up to ``wanted`` candidates, the best one first."""


def _by_mean(seen: Seen) -> list[int]:
    """Return numbers by mean score, the best and newest first."""
    means = {n: round(fmean(s), 12) if s else -math.inf for n, s in seen.items()}
    return sorted(seen, key=lambda number: (means[number], number), reverse=True)


@dataclass(frozen=True, slots=True)
class UCB:
    """Evaluate those further that may still turn out to be the best.

    Everyone is evaluated on one block. Then, again and again, the ``wanted`` candidates
    with the highest ``mean + explore * sqrt(ln(pulls) / own pulls)``, until ``share``
    of all evaluations is spent.

    Args:
        explore: How much a candidate that was seen little is favoured.
        share: How much of a full evaluation of everyone may be spent, above 0.

    Source: upper confidence bounds as ProTeGi (Pryzant et al. 2023), arXiv 2305.03495,
    algorithm 3, uses them; difference: several pulls at a time.
    """

    explore: float = 0.5
    share: float = 0.3

    def __post_init__(self) -> None:
        require_number("explore", self.explore, 0.0)
        require_number("share", self.share, 0.0, 1.0)
        if not self.share:
            raise InputValueError("share is 0; expected above 0, at most 1.")

    def pulls(self, seen: Seen, blocks: int, wanted: int) -> list[int]:
        """Return those with the highest bounds."""
        if new := [number for number, scores in seen.items() if not scores]:
            return new
        spent = sum(map(len, seen.values()))
        limit = math.ceil(self.share * len(seen) * blocks) - spent
        if limit <= 0 or len(seen) <= wanted:
            return []

        def bound(number: int) -> tuple[float, int]:
            scores = seen[number]
            width = math.sqrt(math.log(spent) / len(scores)) if spent > 1 else 0.0
            return (fmean(scores) + self.explore * width, number)

        opened = [number for number in seen if len(seen[number]) < blocks]
        return sorted(opened, key=bound, reverse=True)[: min(wanted, limit)]

    def keep(self, seen: Seen, wanted: int) -> list[int]:
        """Return those with the highest means."""
        return _by_mean(seen)[:wanted]


@dataclass(frozen=True, slots=True)
class Halving:
    """Evaluate all on a block, the better part of them on the next one, and so on.

    Args:
        share: How much of the candidates goes on after each block, rounded up; above 0
            and below 1.

    Examples:
        >>> seen = {1: [0.2], 2: [0.9], 3: [0.5], 4: [0.1]}
        >>> Halving(0.5).pulls(seen, blocks=3, wanted=1)
        [2, 3]

    Source: Jamieson and Talwalkar 2015, arXiv 1502.07943; difference: equal blocks.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        require_number("share", self.share, 0.0, 1.0)
        if self.share in (0, 1):
            raise InputValueError(f"share is {self.share}; expected between 0 and 1.")

    def pulls(self, seen: Seen, blocks: int, wanted: int) -> list[int]:
        """Return those that are left."""
        furthest = self._furthest(seen)
        level = max(map(len, seen.values()), default=0)
        if not level:
            return list(seen)
        count = max(wanted, math.ceil(self.share * len(furthest) - 1e-9))
        if level >= blocks or len(furthest) <= wanted:
            return []
        return _by_mean(furthest)[:count]

    def keep(self, seen: Seen, wanted: int) -> list[int]:
        """Return those that got furthest, the best of them first."""
        ranked = _by_mean(seen)
        return sorted(ranked, key=lambda number: -len(seen[number]))[:wanted]

    @staticmethod
    def _furthest(seen: Seen) -> Seen:
        level = max(map(len, seen.values()), default=0)
        return {n: scores for n, scores in seen.items() if len(scores) == level}
