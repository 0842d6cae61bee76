"""What was changed and why: every candidate, its evidence, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from afnio.tracking.report._parameters import ParameterNames
from afnio.tracking.report._timeline import (
    At,
    Timeline,
    changes_of,
    fate_of,
    scores_of,
    verdict_of,
)
from afnio.tracking.report._values import (
    count,
    items,
    mappings,
    number,
    pair,
    text,
)
from afnio.tracking.report._worddiff import Diff, diff

MAX_CARDS: Final = 40
"""Accepted changes shown with all that is behind them: the first and the last ones."""

MAX_REJECTED: Final = 60
"""Rejected candidates in the table, likewise."""

_MAX_EVIDENCE: Final = 6
_MAX_FEEDBACK: Final = 6
_NOTE: Final = 2_000
_CELL: Final = 400


@dataclass(frozen=True, slots=True)
class Example:
    """A sample that a change answers to."""

    input: str
    output: str
    target: str
    score: str
    success: bool
    critique: str


@dataclass(frozen=True, slots=True)
class Edit:
    """One parameter's part in a candidate."""

    name: str
    role: str
    diff: Diff | None
    """None if no usable rewrite was proposed."""
    feedback: tuple[str, ...]
    more_feedback: int
    evidence: tuple[Example, ...]
    failures: int
    successes: int
    attempts: int
    edits: tuple[str, ...]
    note: str
    """How the proposal came about."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate, and what became of it."""

    key: str
    step: int
    optimizer: str
    number: int
    accepted: bool
    reason: str
    rationale: str
    """What a judge said in comparison with the parent, if one was asked."""
    edits: tuple[Edit, ...]
    before: float | None
    after: float | None
    difference: float | None
    interval: tuple[float, float] | None
    samples: int
    wins: int | None
    losses: int | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter at the start and now."""

    name: str
    role: str
    diff: Diff
    changed: bool
    times: int
    """Accepted changes."""
    now: str
    """The present value, if it is a text."""


@dataclass(frozen=True, slots=True)
class Changes:
    """All candidates of a run."""

    accepted: tuple[Candidate, ...]
    """The changes that were kept."""
    parts: tuple[Candidate, ...]
    """Candidates whose changes are in one that was kept."""
    rejected: tuple[Candidate, ...]
    final: tuple[Candidate, ...]
    """What searches returned at the end, and why."""
    total_accepted: int
    total_parts: int
    total_rejected: int
    reach: float
    """The longest way from 0 among all intervals, for drawing."""

    def place(self, value: float) -> float:
        """Return where a difference stands, in percent of the width."""
        return round(50 + 50 * max(-1.0, min(1.0, value / self.reach)), 2)


def changes_in(found: Timeline) -> Changes:
    """Return the candidates of a run; of very many, the first and the last."""
    reader = _Reader(found)
    groups: dict[str, list[At]] = defaultdict(list)
    for at in found.decisions:
        groups[fate_of(at.event)].append(at)

    def shown(fate: str, limit: int) -> tuple[Candidate, ...]:
        return tuple(map(reader.candidate, _ends(groups[fate], limit)))

    accepted, final = shown("accepted", MAX_CARDS), shown("final", MAX_CARDS)
    parts, rejected = shown("part", MAX_REJECTED), shown("rejected", MAX_REJECTED)
    everyone = (*accepted, *parts, *rejected, *final)
    known = [c.interval for c in everyone if c.interval is not None]
    reach = max((abs(end) for ends in known for end in ends), default=0.0)
    return Changes(
        accepted=accepted,
        parts=parts,
        rejected=rejected,
        final=final,
        total_accepted=len(groups["accepted"]),
        total_parts=len(groups["part"]),
        total_rejected=len(groups["rejected"]),
        reach=reach or 1.0,
    )


def _ends(found: list[At], limit: int) -> list[At]:
    if len(found) <= limit:
        return found
    head = limit // 4
    return found[:head] + found[head - limit :]


class _Reader:
    """Reads decisions, with what other events tell about the same step."""

    def __init__(self, found: Timeline) -> None:
        self.names = ParameterNames(found)
        self.evidence: dict[tuple[int, str], list[Mapping[str, Any]]] = defaultdict(
            list
        )
        for at in found.evidence:
            key = (at.step, text(at.event.get("parameter"), 200))
            self.evidence[key] += mappings(at.event.get("samples"))

    def candidate(self, at: At) -> Candidate:
        event, gate = at.event, verdict_of(at.event)
        before, after = _same_samples(event)
        optimizer, own = (
            text(event.get("optimizer"), 200),
            count(event.get("candidate")),
        )
        difference = number(gate.get("difference"))
        return Candidate(
            key=f"step-{at.step}-{optimizer}-{own}",
            step=at.step,
            optimizer=optimizer,
            number=own,
            accepted=event.get("accepted") is True,
            reason=text(event.get("reason"), _NOTE),
            rationale=text(event.get("rationale"), _NOTE).strip(),
            edits=tuple(
                self.edit(at.step, optimizer, change) for change in changes_of(event)
            ),
            before=fmean(before) if before else None,
            after=fmean(after) if after else None,
            difference=difference,
            interval=pair(gate.get("interval")),
            samples=count(gate.get("n"), len(after)),
            wins=_whole(gate.get("wins")),
            losses=_whole(gate.get("losses")),
        )

    def edit(self, step: int, optimizer: str, change: Mapping[str, Any]) -> Edit:
        name = self.names.of(optimizer, change)
        after = change.get("after")
        feedback = [text(item, _NOTE) for item in items(change.get("feedback"))]
        feedback = [item for item in feedback if item.strip()]
        seen = mappings(change.get("evidence")) or self.evidence.get((step, name), [])
        return Edit(
            name=name,
            role=text(change.get("role"), 500),
            diff=None if after is None else diff(change.get("before"), after),
            feedback=tuple(feedback[:_MAX_FEEDBACK]),
            more_feedback=max(0, len(feedback) - _MAX_FEEDBACK),
            evidence=tuple(map(_example, seen[:_MAX_EVIDENCE])),
            failures=count(change.get("failures")),
            successes=count(change.get("successes")),
            attempts=count(change.get("attempts")),
            note=text(change.get("note"), _NOTE),
            edits=tuple(text(item, _CELL) for item in items(change.get("edits"))[:20]),
        )


def _same_samples(event: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[float]]:
    """Return scores of parent and candidate on the samples that were compared.

    A race that ends early leaves one of them with more scores than the other.
    """
    before = scores_of(event, "parent_scores")
    after = scores_of(event, "candidate_scores")
    compared = count(verdict_of(event).get("n"))
    if not before or not 0 < compared <= min(len(before), len(after)):
        return (), after
    return before[:compared], after[:compared]


def _whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _example(item: Mapping[str, Any]) -> Example:
    found = number(item.get("score"))
    return Example(
        input=text(item.get("input"), _CELL),
        output=text(item.get("output"), _CELL),
        target=text(item.get("target"), _CELL),
        score=text(item.get("score"), 40) if found is None else f"{found:g}",
        success=item.get("success") is True,
        critique=text(item.get("critique"), _CELL),
    )


def parameters_of(found: Timeline, changes: Any) -> list[Parameter]:
    """Return every trainable parameter, compared with how it was at the start.

    Args:
        found: The events.
        changes: What a summary says of the parameters.
    """
    names = ParameterNames(found)
    times: dict[str, int] = defaultdict(int)
    for at in found.decisions:
        if at.event.get("accepted") is True:
            optimizer = text(at.event.get("optimizer"), 200)
            for change in changes_of(at.event):
                times[names.of(optimizer, change)] += 1
    return [
        Parameter(
            name=each.name,
            role=each.role,
            diff=diff(each.before, each.after),
            changed=each.before != each.after,
            times=times.get(each.name, 0),
            now=text(each.after) if isinstance(each.after, str) else "",
        )
        for each in changes
    ]
