"""What optimizers decided, and why: frozen records, kept in ``optimizer.history``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from afnio.optim.gates import Decision

__all__ = ["Change", "StepRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One parameter's part in a candidate."""

    parameter: int
    """Its number, counted over all parameter groups."""
    role: str
    before: Any
    after: Any
    """The proposed value; None if no proposal was fit for use."""
    feedback: tuple[str, ...] = ()
    """What the proposal answers to, long texts cut."""
    failures: int = 0
    """Failing samples among the evidence."""
    successes: int = 0
    """Successful samples among the evidence."""
    attempts: int = 0
    """Model calls that the proposal took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One candidate: what it would change, how it scored, what became of it."""

    step: int
    """Which call of ``step`` it was, from 1."""
    optimizer: str
    candidate: int = 0
    """Its number within the step."""
    changes: tuple[Change, ...]
    accepted: bool
    reason: str
    decision: Decision | None = None
    """What the gate said; None without one, or if the candidate did not reach it."""
    parent_scores: tuple[float, ...] = ()
    candidate_scores: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepRecord:
        """Return the record that `to_dict` wrote."""
        decision = data["decision"]
        return cls(
            step=data["step"],
            optimizer=data["optimizer"],
            candidate=data["candidate"],
            changes=tuple(
                Change(**{**item, "feedback": tuple(item["feedback"])})
                for item in data["changes"]
            ),
            accepted=data["accepted"],
            reason=data["reason"],
            decision=decision
            and Decision(**{**decision, "interval": tuple(decision["interval"])}),
            parent_scores=tuple(data["parent_scores"]),
            candidate_scores=tuple(data["candidate_scores"]),
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
