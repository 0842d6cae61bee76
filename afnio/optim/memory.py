"""Memory: what a proposer is told about earlier steps.

A memory is a rule that reads ``optimizer.history``, the list of all decisions; so there
is no state to keep, and a resumed run remembers what the first one knew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final, Protocol, runtime_checkable

from afnio.optim._checks import require_int
from afnio.optim._prompts import Task
from afnio.optim._statistics import sign_test
from afnio.optim.proposers import changed_lines
from afnio.optim.records import Change, StepRecord

__all__ = [
    "Memory",
    "NoMemory",
    "Rationales",
    "Recent",
    "RejectedEdits",
    "ScoredHistory",
]

_TENURE: Final = 3
"""Steps in which a rejected text is not tested again, as in tabu search."""
_CLEAR: Final = 0.05
"""Chance of so many losses for a text that is as good, below which it is refused."""


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

    For the next three steps the same words are refused before they are evaluated, and
    for good if they were clearly worse, in all their comparisons together. What was not
    is tested again if it is still proposed then: a rejection is often chance.

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
        counts: dict[str, tuple[int, int]] = {}
        latest: dict[str, int] = {}
        for record, change, text in _texts(history, parameter):
            decision = record.decision
            if decision is None or decision.accepted:
                continue
            wins, losses = counts.get(text, (0, 0))
            counts[text] = (wins + decision.wins, losses + decision.losses)
            latest[text] = record.step
            changed = changed_lines(str(change.before), text)
            note = f"mean score {decision.difference:+.3f} on {decision.n} examples"
            found.pop(text, None)
            found[text] = f"{changed}\n({note})"
        kept = list(found.items())[-self.size :] if self.size else []
        now = history[-1].step if history else 0
        return replace(
            task,
            rejected=tuple(
                text
                for text, _ in kept
                if latest[text] > now - _TENURE or _is_worse(*counts[text])
            ),
            tried=tuple(shown for _, shown in kept),
        )


def _is_worse(wins: int, losses: int) -> bool:
    return sign_test(losses, wins) < _CLEAR


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


@dataclass(frozen=True, slots=True)
class Recent:
    """Show the latest texts that were tried, and what came of each, the newest last.

    Args:
        size: How many; 0 for none.

    Source: the memory of OptoPrime (Cheng et al. 2024), arXiv 2406.16218.
    """

    size: int = 4

    def __post_init__(self) -> None:
        require_int("size", self.size, 0)

    def recall(self, task: Task, parameter: int, history: Sequence[StepRecord]) -> Task:
        """Add texts, and how they compared."""
        found: dict[str, str] = {}
        for record, _, text in _texts(history, parameter):
            found.pop(text, None)
            if text != task.current:
                found[text] = _outcome(record)
        kept = list(found.items())[-self.size :] if self.size else []
        return replace(task, history=tuple((text, (said,)) for text, said in kept))


@dataclass(frozen=True, slots=True)
class Rationales:
    """Show what was tried since the last accepted change, and what was said about it.

    Args:
        size: How many attempts, the latest ones; 0 for none.

    Source: Feedback Descent (2025), arXiv 2511.07919.
    """

    size: int = 16

    def __post_init__(self) -> None:
        require_int("size", self.size, 0)

    def recall(self, task: Task, parameter: int, history: Sequence[StepRecord]) -> Task:
        """Add attempts, each with its rationale; the first one led to the present."""
        found: list[tuple[str, tuple[str, ...]]] = []
        for record, change, text in _texts(history, parameter):
            if record.accepted:  # the win itself: what it was before, and why it won
                before = str(change.before)
                found = [(before, _said(record, "the current text was preferred"))]
            elif record.rationale or record.decision is not None:
                found.append((text, _said(record, "the current text was preferred")))
        kept = found[-self.size :] if self.size else []
        return replace(task, history=tuple(kept))


def _said(record: StepRecord, verdict: str) -> tuple[str, ...]:
    if record.decision is not None and record.decision.difference:
        gap = abs(record.decision.difference)
        verdict += f", by a mean score of {gap:.3f} on {record.decision.n} examples"
    return (verdict, *([record.rationale] if record.rationale else []))


def _outcome(record: StepRecord) -> str:
    """Say how a candidate compared with what it was made from."""
    if record.decision is None:
        return "kept" if record.accepted else "not evaluated"
    found = record.decision
    verdict = "kept" if record.accepted else "not kept"
    return f"mean score {found.difference:+.3f} on {found.n} examples, {verdict}"
