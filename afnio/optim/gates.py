"""Gates: whether a candidate may take its parent's place.

A gate sees per-sample scores of both on the *same* samples, higher is better, and
returns a `Decision` that carries its evidence. Gates keep no state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from afnio.errors import InputValueError
from afnio.optim._scores import sample_scores
from afnio.optim._statistics import (
    mean_difference,
    paired_interval,
    sign_test,
    wins_and_losses,
)

__all__ = [
    "Always",
    "Decision",
    "Gate",
    "Improve",
    "Margin",
    "NonInferior",
    "Race",
    "SequentialGate",
    "ValRevert",
    "sample_scores",
]

Ties = Literal["newest", "parent"]
"""Who wins when both have the same mean score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a gate decided, and on what evidence."""

    accepted: bool
    reason: str
    difference: float
    """Mean paired difference, candidate minus parent."""
    interval: tuple[float, float]
    """Confidence interval of the difference, 95 % unless the gate says otherwise."""
    n: int
    """Samples compared."""
    wins: int
    losses: int
    p: float
    """Exact one-sided sign test: chance of so many wins if both were equal."""


@runtime_checkable
class Gate(Protocol):
    """Decides on paired scores."""

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Return whether the candidate takes the parent's place."""


@runtime_checkable
class SequentialGate(Gate, Protocol):
    """A gate that may decide before all samples are evaluated."""

    def early(
        self, parent: Sequence[float], candidate: Sequence[float], total: int
    ) -> Decision | None:
        """Return a decision on the first of ``total`` samples, or None to go on."""


def _weigh(
    parent: Sequence[float],
    candidate: Sequence[float],
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Return the statistics of a `Decision`.

    Raises:
        InputValueError: No scores, or not the same number of them.
    """
    if len(parent) != len(candidate) or not parent:
        raise InputValueError(
            f"a gate compares the same samples: got {len(parent)} scores of the parent "
            f"and {len(candidate)} of the candidate. The closure must score the same "
            "samples, at least one, every time it is called within a step."
        )
    wins, losses = wins_and_losses(parent, candidate)
    return {
        "difference": mean_difference(parent, candidate),
        "interval": paired_interval(parent, candidate, confidence),
        "n": len(parent),
        "wins": wins,
        "losses": losses,
        "p": sign_test(wins, losses),
    }


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputValueError(f"{name} is {value}; expected {low} to {high}.")


def _check_ties(ties: str) -> None:
    if ties not in ("newest", "parent"):
        raise InputValueError(f"ties is {ties!r}; expected 'newest' or 'parent'.")


def _verdict(weighed: dict[str, Any], bar: float, ties: Ties) -> Decision:
    """Accept a mean difference above ``bar``; ``ties`` says what equality means."""
    difference = weighed["difference"]
    text = f"mean difference {difference:+.3f}"
    if math.isclose(difference, bar, abs_tol=1e-12):
        accepted = ties == "newest"
        winner = "candidate" if accepted else "parent"
        reason = f"{text} is {bar:+.3f}; ties go to the {winner}"
        return Decision(accepted=accepted, reason=reason, **weighed)
    accepted = difference > bar
    reason = f"{text} {'above' if accepted else 'below'} {bar:+.3f}"
    return Decision(accepted=accepted, reason=reason, **weighed)


@dataclass(frozen=True, slots=True)
class Always:
    """Accept every candidate, and record how it compares."""

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Accept."""
        return Decision(
            accepted=True, reason="always accepts", **_weigh(parent, candidate)
        )


@dataclass(frozen=True, slots=True)
class Improve:
    """Accept a candidate with a higher mean score.

    Args:
        ties: Who wins at equal means. ``"parent"`` is the strict gate; ``"newest"``
            lets the search drift over plateaus.

    Example:
        >>> decision = Improve().decide(parent=[0, 1, 0], candidate=[1, 1, 0])
        >>> decision.accepted, decision.reason
        (True, 'mean difference +0.333 above +0.000')
    """

    ties: Ties = "parent"

    def __post_init__(self) -> None:
        _check_ties(self.ties)

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Compare mean scores."""
        return _verdict(_weigh(parent, candidate), 0.0, self.ties)


@dataclass(frozen=True, slots=True)
class ValRevert:
    """Keep the new value unless the mean score falls.

    Args:
        tolerance: How far it may fall.
        ties: Who wins exactly there.
    """

    tolerance: float = 0.0
    ties: Ties = "newest"

    def __post_init__(self) -> None:
        _check("tolerance", self.tolerance, 0.0, float("inf"))
        _check_ties(self.ties)

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Compare mean scores."""
        return _verdict(_weigh(parent, candidate), 0.0 - self.tolerance, self.ties)


@dataclass(frozen=True, slots=True)
class Margin:
    """Accept a candidate whose mean score is higher by at least ``delta``.

    Args:
        delta: The gain that a change must bring.
    """

    delta: float

    def __post_init__(self) -> None:
        _check("delta", self.delta, 0.0, float("inf"))

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Compare mean scores."""
        return _verdict(_weigh(parent, candidate), self.delta, "newest")


@dataclass(frozen=True, slots=True)
class NonInferior:
    """Accept a candidate that is shown to be at most ``delta`` worse.

    Args:
        delta: The loss that would not matter.
        confidence: Of the interval whose lower bound has to lie above ``-delta``.
    """

    delta: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _check("delta", self.delta, 0.0, float("inf"))
        _check("confidence", self.confidence, 0.5, 0.9999)

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Compare the interval's lower bound with the margin."""
        weighed = _weigh(parent, candidate, self.confidence)
        low = weighed["interval"][0]
        accepted = low > -self.delta
        relation = "above" if accepted else "not above"
        reason = f"lower bound {low:+.3f} {relation} {-self.delta:+.3f}"
        return Decision(accepted=accepted, reason=reason, **weighed)


@dataclass(frozen=True, slots=True)
class Race:
    """Compare block by block, and stop as soon as the winner is clear.

    After each block of samples but the last, an exact sign test looks both ways; the
    chance of a wrong early stop is at most ``alpha`` over all looks. What is not
    decided early is decided by the mean of all samples.

    Args:
        block: Samples between two looks.
        alpha: Chance of a wrong early stop, either way, between equal candidates.
        ties: Who wins at equal means.
    """

    block: int = 8
    alpha: float = 0.1
    ties: Ties = "newest"

    def __post_init__(self) -> None:
        _check("block", self.block, 1, float("inf"))
        _check("alpha", self.alpha, 0.0, 1.0)
        _check_ties(self.ties)

    def early(
        self, parent: Sequence[float], candidate: Sequence[float], total: int
    ) -> Decision | None:
        """Look at the blocks that are complete; the first clear look decides."""
        looks = (total - 1) // self.block
        for end in range(self.block, min(len(parent), total - 1) + 1, self.block):
            wins, losses = wins_and_losses(parent[:end], candidate[:end])
            chance = 2 * sign_test(max(wins, losses), min(wins, losses))
            if chance <= self.alpha / looks:
                weighed = _weigh(parent[:end], candidate[:end])
                reason = f"clear after {end} of {total}: {wins} wins, {losses} losses"
                return Decision(accepted=wins > losses, reason=reason, **weighed)
        return None

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Race over given scores."""
        weighed = _weigh(parent, candidate)
        decided = self.early(parent, candidate, len(parent))
        return decided or _verdict(weighed, 0.0, self.ties)
