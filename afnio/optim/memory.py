"""Memory: what a proposer is told about earlier steps.

A memory is a rule that reads ``optimizer.history``, the list of all decisions; so there
is no state to keep, and a resumed run remembers what the first one knew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Protocol, runtime_checkable

from afnio.optim._checks import require_int
from afnio.optim._prompts import Task
from afnio.optim.proposers import changed_lines
from afnio.optim.records import Change, StepRecord

__all__ = ["Memory", "NoMemory", "RejectedEdits", "ScoredHistory"]


@runtime_checkable
class Memory(Protocol):
    """Adds to a task what is remembered."""

    def recall(self, task: Task, parameter: int, history: Sequence[StepRecord]) -> Task:
        """Return the task, with what earlier steps say about this parameter."""


def _texts(
    history: Sequence[StepRecord], parameter: int
) -> Iterator[tuple[StepRecord, Change, str]]:
    for record in history:
        for change in record.changes:
            if change.parameter == parameter and isinstance(change.after, str):
                yield record, change, change.after


@dataclass(frozen=True, slots=True)
class NoMemory:
    """Remember nothing."""

    def recall(self, task: Task, parameter: int, history: Sequence[StepRecord]) -> Task:
        """Return the task as it is."""
        del parameter, history
        return task


@dataclass(frozen=True, slots=True)
class RejectedEdits:
    """Show the latest changes that a gate turned down, and what they cost.

    They are not accepted again either: a proposal with the same words is refused before
    it is evaluated.

    Args:
        size: How many.

    Source: the rejected-edit buffer of SkillOpt (2026), arXiv 2605.23904.
    """

    size: int = 16

    def __post_init__(self) -> None:
        require_int("size", self.size, 0)

    def recall(self, task: Task, parameter: int, history: Sequence[StepRecord]) -> Task:
        """Add rejected texts, and what was new in each."""
        found: dict[str, str] = {}
        for record, change, text in _texts(history, parameter):
            decision = record.decision
            if decision is None or decision.accepted:
                continue
            changed = changed_lines(str(change.before), text)
            note = f"mean score {decision.difference:+.3f} on {decision.n} examples"
            found.pop(text, None)
            found[text] = f"{changed}\n({note})"
        kept = list(found.items())[-self.size :] if self.size else []
        return replace(
            task,
            rejected=tuple(text for text, _ in kept),
            tried=tuple(shown for _, shown in kept),
        )


@dataclass(frozen=True, slots=True)
class ScoredHistory:
    """Show the best texts so far with their mean scores, the best last.

    Args:
        top: How many.

    Source: the meta-prompt of OPRO (Yang et al. 2023), arXiv 2309.03409.
    """

    top: int = 20

    def __post_init__(self) -> None:
        require_int("top", self.top, 1)

    def recall(self, task: Task, parameter: int, history: Sequence[StepRecord]) -> Task:
        """Add texts and scores."""
        scores: dict[str, float] = {}
        for record, change, text in _texts(history, parameter):
            if record.candidate_scores:
                scores[text] = fmean(record.candidate_scores)
            if record.parent_scores and isinstance(change.before, str):
                scores.setdefault(change.before, fmean(record.parent_scores))
        ranked = sorted(scores.items(), key=lambda item: item[1])[-self.top :]
        shown = tuple((text, (f"mean score {score:.3f}",)) for text, score in ranked)
        return replace(task, history=shown)
