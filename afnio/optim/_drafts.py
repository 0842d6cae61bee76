"""A proposal on its way: from jobs to a decision, and to its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from afnio._dispatch import gather
from afnio._variable import Variable
from afnio.optim._findings import Findings
from afnio.optim._jobs import Job
from afnio.optim._racing import Entrant, Ruling
from afnio.optim._safety import normal
from afnio.optim.pools import Candidate
from afnio.optim.proposers import Ask, Proposer
from afnio.optim.records import Change, StepRecord


@dataclass(slots=True, eq=False, kw_only=True)
class Draft:
    """One proposal of the step."""

    number: int
    parent: Candidate
    jobs: list[Job]
    findings: Findings | None = None
    parents: tuple[int, ...] = ()
    proposer: Proposer
    given: Mapping[int, Any] = field(default_factory=dict)
    """Values by parameter that no model is asked for."""
    changes: tuple[Change, ...] | None = None
    """What it changes, where that is on record already."""
    is_part: bool = True
    """Whether its changes may be united with others'."""
    parts: tuple[Draft, ...] = ()
    """Drafts whose changes it unites."""
    rationale: str = ""
    """What was said in comparison with its parent."""
    fate: str = ""
    """Why it was not evaluated."""
    ruling: Ruling | None = None
    entrant: Entrant | None = None
    gain: float | None = None
    """Difference of mean scores on the training samples, if it passed the check."""
    checked: bool = False
    """Whether the ruling is of training samples."""
    joined: bool = field(default=False)
    roles: Mapping[int, str] = field(default_factory=dict)
    """What records call the parameters with given values."""

    async def run(self) -> None:
        """Ask for new values of all its parameters."""
        asks = [
            Ask(job.task, job.settings.client, job.settings.completion_args)
            for job in self.jobs
        ]
        outcomes = await self.proposer.propose(asks)
        self.jobs = [
            replace(job, outcome=outcome)
            for job, outcome in zip(self.jobs, outcomes, strict=True)
        ]

    @property
    def values(self) -> tuple[Any, ...]:
        """The data of all parameters that it proposes."""
        found = list(self.parent.values)
        for number, value in self.given.items():
            found[number] = value
        for job in self.jobs:
            if job.text is not None:
                found[job.number] = job.text
        return tuple(found)

    def enter(self, params: Sequence[Variable]) -> Entrant:
        """Return it as an entrant, the same one each time."""
        if self.entrant is None:
            values = dict(zip(params, self.values, strict=True))
            self.entrant = Entrant(values, self.number)
        return self.entrant

    def candidate(self, step: int) -> Candidate:
        """Return it as a candidate, with the scores it has."""
        assert self.entrant is not None
        return Candidate(
            number=self.number,
            values=self.values,
            scores={b: trial.scores for b, trial in self.entrant.parts.items()},
            parents=self.parents or (self.parent.number,),
            step=step,
        )

    def record(self, step: int, optimizer: str, rival: int | None) -> StepRecord:
        """Return what became of it; ``rival`` was preferred to it, if anyone was."""
        reason = self.fate
        if self.ruling is not None:
            reason = self.ruling.decision.reason
            if self.checked:
                reason = f"training samples: {reason}"
            elif self.ruling.decision.accepted and not self.joined:
                reason += f"; candidate {rival} gains more, or as much and is newer"
        found = self.ruling
        return StepRecord(
            step=step,
            optimizer=optimizer,
            candidate=self.number,
            changes=self._changes(),
            accepted=self.joined,
            reason=reason,
            decision=None if found is None else found.decision,
            parent_scores=() if found is None else found.parent_scores,
            candidate_scores=() if found is None else found.scores,
            rationale=self.rationale,
        )

    def _changes(self) -> tuple[Change, ...]:
        """Return what it changes: what was asked for, then what was given."""
        if self.changes is not None:
            return self.changes
        asked = [job.change() for job in self.jobs if job.text != job.task.current]
        done = {change.parameter for change in asked if change.after is not None}
        before = self.parent.values
        return (
            *asked,
            *(
                Change(
                    parameter=number,
                    role=self.roles.get(number, ""),
                    before=before[number],
                    after=value,
                )
                for number, value in self.given.items()
                if number not in done and value != before[number]
            ),
        )


async def ask_all(drafts: Sequence[Draft], known: Iterable[Candidate | Draft]) -> None:
    """Ask for all proposals at once, and drop those that are unusable or not new."""
    await gather(draft.run() for draft in drafts)
    seen = {_key(one.values) for one in known}
    for draft in drafts:
        refusals = [job.reason for job in draft.jobs if job.text is None]
        if draft.jobs and len(refusals) == len(draft.jobs):
            draft.fate = "; ".join(refusals)
        elif (key := _key(draft.values)) in seen:
            draft.fate = "an earlier candidate is the same"
        else:
            seen.add(key)


def _key(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(normal(str(value)) for value in values)
