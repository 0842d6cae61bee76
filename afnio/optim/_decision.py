"""What a gate decides, and the statistics that a decision rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from afnio.errors import InputValueError
from afnio.models._plan import active_plan
from afnio.optim._statistics import (
    mean_difference,
    paired_interval,
    sign_test,
    wins_and_losses,
)

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


def weigh(
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


def check_ties(ties: str) -> None:
    """Raise unless ``ties`` is one of the two words."""
    if ties not in ("newest", "parent"):
        raise InputValueError(f"ties is {ties!r}; expected 'newest' or 'parent'.")


def verdict(weighed: dict[str, Any], bar: float, ties: Ties) -> Decision:
    """Accept a mean difference above ``bar``; ``ties`` says what equality means.

    While a plan is made, equality passes: what follows is to be counted.
    """
    difference = weighed["difference"]
    text = f"mean difference {difference:+.3f}"
    if math.isclose(difference, bar, abs_tol=1e-12):
        accepted = ties == "newest" or active_plan() is not None
        winner = "candidate" if accepted else "parent"
        reason = f"{text} is {bar:+.3f}; ties go to the {winner}"
        return Decision(accepted=accepted, reason=reason, **weighed)
    accepted = difference > bar
    reason = f"{text} {'above' if accepted else 'below'} {bar:+.3f}"
    return Decision(accepted=accepted, reason=reason, **weighed)
