"""Pools: which candidates to go on from, and which one to use.

A pool is a rule, not a container: the engine keeps every candidate that was accepted,
oldest first, and asks. At equal scores the newest goes first, so that a search moves on
over plateaus instead of standing still.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Literal, Protocol, runtime_checkable

from afnio.errors import InputValueError
from afnio.optim._checks import require_int, require_number
from afnio.optim._fields import checked

__all__ = [
    "BestSeen",
    "Candidate",
    "Current",
    "Pareto",
    "Pool",
    "TopKSoftmax",
]

_NEAR: float = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Values of all parameters together, and how they scored."""

    number: int
    """Its place in the order of proposals; 0 is what the search started from."""
    values: tuple[Any, ...]
    """Data of each parameter, in the order of the parameter groups."""
    scores: Mapping[int, tuple[float | None, ...]] = field(default_factory=dict)
    """Validation scores by block, of the blocks it was evaluated on."""
    parents: tuple[int, ...] = ()
    """Numbers of those it was made from."""
    step: int = 0
    """The step it was accepted in."""

    def flat(self) -> tuple[float | None, ...]:
        """Return all known scores, block after block."""
        return tuple(s for block in sorted(self.scores) for s in self.scores[block])

    @property
    def mean(self) -> float | None:
        """The mean of all known scores; None without any."""
        known = [score for score in self.flat() if score is not None]
        return fmean(known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {
            "number": self.number,
            "values": list(self.values),
            "scores": {str(k): list(v) for k, v in self.scores.items()},
            "parents": list(self.parents),
            "step": self.step,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Candidate:
        """Return the candidate that `to_dict` wrote.

        Raises:
            InputValueError: A field is of the wrong kind.
        """
        found = cls(
            number=data["number"],
            values=tuple(data["values"]),
            scores={int(k): tuple(v) for k, v in data["scores"].items()},
            parents=tuple(data["parents"]),
            step=data["step"],
        )
        return checked(found, "candidates")

    def with_scores(self, scores: Mapping[int, tuple[float | None, ...]]) -> Candidate:
        """Return the same candidate with these scores."""
        return replace(self, scores=dict(scores))


@runtime_checkable
class Pool(Protocol):
    """Chooses among accepted candidates.

    Attributes:
        compares: Whether candidates of different steps are compared, so that every
            accepted one has to be evaluated on everything.
    """

    @property
    def compares(self) -> bool:
        """Whether candidates of different steps are compared."""

    def parents(
        self, candidates: Sequence[Candidate], count: int, rng: random.Random
    ) -> list[Candidate]:
        """Return up to ``count`` different candidates to go on from."""

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Return the one that the parameters shall hold after a step."""


def _ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates by mean score, the best and newest first."""

    def key(one: Candidate) -> tuple[float, int]:
        mean = one.mean
        return (-math.inf if mean is None else round(mean, 12), one.number)

    return sorted(candidates, key=key, reverse=True)


@dataclass(frozen=True, slots=True)
class Current:
    """Go on from the last accepted candidate, whatever came before it."""

    @property
    def compares(self) -> bool:
        """No: only with its own parent."""
        return False

    def parents(
        self, candidates: Sequence[Candidate], count: int, rng: random.Random
    ) -> list[Candidate]:
        """Return the last one."""
        del count, rng
        return [candidates[-1]]

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Return the last one."""
        return candidates[-1]


@dataclass(frozen=True, slots=True)
class BestSeen:
    """Go on from the candidates with the highest mean scores."""

    @property
    def compares(self) -> bool:
        """Yes."""
        return True

    def parents(
        self, candidates: Sequence[Candidate], count: int, rng: random.Random
    ) -> list[Candidate]:
        """Return the best ones."""
        del rng
        return _ranked(candidates)[:count]

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Return the best one."""
        return _ranked(candidates)[0]


@dataclass(frozen=True, slots=True)
class TopKSoftmax:
    """Draw parents from the ``k`` best, better ones more often.

    Args:
        k: How many take part.
        temperature: Of the softmax over mean scores; small means greedy.
    """

    k: int = 4
    temperature: float = 0.2

    def __post_init__(self) -> None:
        require_int("k", self.k, 1)
        require_number("temperature", self.temperature, 0.0)
        if not self.temperature:
            raise InputValueError("temperature is 0; use BestSeen() for the best one.")

    @property
    def compares(self) -> bool:
        """Yes."""
        return True

    def parents(
        self, candidates: Sequence[Candidate], count: int, rng: random.Random
    ) -> list[Candidate]:
        """Draw without replacement."""
        top = _ranked(candidates)[: self.k]
        highest = top[0].mean or 0.0
        weights = [
            math.exp(((one.mean or 0.0) - highest) / self.temperature) for one in top
        ]
        return _drawn(top, weights, count, rng)

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Return the best one."""
        return _ranked(candidates)[0]


@dataclass(frozen=True, slots=True)
class Pareto:
    """Draw parents from those that are best on at least one sample.

    A candidate's chance is the number of samples on which nobody does better. So
    candidates that know different things are all developed further.

    Args:
        ties: Who has a sample that several do best: the ``"newest"`` of them, or
            ``"all"``.
        max_size: How many candidates stay: those with most samples; None for all.

    Source: Agrawal et al. 2025 (GEPA), arXiv 2507.19457, algorithm 2; difference: with
    ``ties="newest"`` a sample counts for one candidate only.
    """

    ties: Literal["newest", "all"] = "newest"
    max_size: int | None = None

    def __post_init__(self) -> None:
        if self.ties not in ("newest", "all"):
            raise InputValueError(f"ties is {self.ties!r}; expected 'newest' or 'all'.")
        if self.max_size is not None:
            require_int("max_size", self.max_size, 1)

    @property
    def compares(self) -> bool:
        """Yes."""
        return True

    def wins(self, candidates: Sequence[Candidate]) -> dict[int, int]:
        """Return by number on how many samples each candidate is best."""
        found = dict.fromkeys((one.number for one in candidates), 0)
        for row in zip(*(one.flat() for one in candidates), strict=True):
            known = [score for score in row if score is not None]
            first = [
                one.number
                for one, score in zip(candidates, row, strict=True)
                if score is not None and score >= max(known) - _NEAR
            ]
            for number in first if self.ties == "all" else first[-1:]:
                found[number] += 1
        return found

    def parents(
        self, candidates: Sequence[Candidate], count: int, rng: random.Random
    ) -> list[Candidate]:
        """Draw without replacement, by the samples won."""
        ordered = sorted(candidates, key=lambda one: one.number)
        wins = self.wins(ordered)
        front = sorted(
            (one for one in ordered if wins[one.number]),
            key=lambda one: (wins[one.number], one.number),
            reverse=True,
        )[: self.max_size]
        return _drawn(
            front or ordered[-1:], [wins[one.number] or 1 for one in front], count, rng
        )

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Return the one with the highest mean score."""
        return _ranked(candidates)[0]


def _drawn(
    items: Sequence[Candidate],
    weights: Sequence[float],
    count: int,
    rng: random.Random,
) -> list[Candidate]:
    left = list(zip(items, weights or [1.0], strict=True))
    found: list[Candidate] = []
    while left and len(found) < count:
        [place] = rng.choices(range(len(left)), [weight for _, weight in left])
        found.append(left.pop(place)[0])
    return found
