"""Evidence: what happened to each sample, kept next to a gradient's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from afnio.serialization import register_dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One sample's way through a program, for optimizers, reports and tests.

    Score and gradient Variables carry a tuple of these, one per sample and evaluation.
    """

    index: int = 0
    """Position of the sample in its batch; 0 for a scalar."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What filled the placeholders of the call nearest to the gradient's target."""
    messages: Sequence[Mapping[str, Any]] = ()
    """The messages of that call, as sent."""
    output: Any = None
    """What that call replied; for an evaluator, the prediction."""
    target: Any = None
    """What the evaluator expected."""
    score: Any = None
    """The evaluator's score of the sample."""
    success: bool = False
    """Whether the score is the best one that the evaluator declares."""
    critique: str = ""
    """Feedback on the gradient's target; empty means nothing to improve."""

    def but(self, **changes: Any) -> Evidence:
        """Return a copy with some fields changed."""
        return replace(self, **changes)


register_dataclass("Evidence", Evidence)
