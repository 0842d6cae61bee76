"""Candidates made of others: united, merged, shortened."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from afnio.errors import RewriteRefused
from afnio.optim._drafts import Draft
from afnio.optim._findings import Findings
from afnio.optim._jobs import Job
from afnio.optim._prompts import Task
from afnio.optim._safety import check, normal
from afnio.optim._union import count_units, shortened, united
from afnio.optim.proposers import Merge
from afnio.optim.records import StepRecord

if TYPE_CHECKING:
    from afnio.optim._round import Round

_TRIES: Final = 8
"""Sentences that are tried until one may be left out."""


def is_stuck(history: Sequence[StepRecord], last: int) -> bool:
    """Whether step ``last`` gained nothing; never before the first step."""
    recent = takewhile(lambda record: record.step == last, reversed(history))
    return bool(last) and not any(record.has_gained for record in recent)


def united_drafts(drafts: Sequence[Draft], number: int) -> list[Draft]:
    """Return for each parent a draft with the changes of all its drafts.

    There is none where that would be one of them, or is not safe to install.

    Args:
        drafts: Usable ones; merged and shortened ones stay apart.
        number: Of the first new draft.
    """
    families: dict[int, list[Draft]] = {}
    for draft in drafts:
        if not draft.is_part:
            continue
        families.setdefault(draft.parent.number, []).append(draft)
    found: list[Draft] = []
    for family in families.values():
        if len(family) < 2:  # noqa: PLR2004 - it takes two
            continue
        one = _united(family, number + len(found))
        if one is not None:
            found.append(one)
    return found


def _united(family: Sequence[Draft], number: int) -> Draft | None:
    first = family[0]
    given: dict[int, Any] = {}
    roles: dict[int, str] = {}
    for place, before in enumerate(first.parent.values):
        jobs = [
            job
            for draft in family
            for job in draft.jobs
            if job.number == place and job.text is not None
        ]
        if not jobs:
            continue
        text = united(str(before), [str(job.text) for job in jobs])
        if not _is_safe(text, jobs[0].task):
            return None
        given[place], roles[place] = text, jobs[0].task.role
    draft = replace(
        first, number=number, jobs=[], given=given, roles=roles, parts=tuple(family)
    )
    known = [_key(one) for one in family]
    return None if _key(draft) in known else draft


def shortened_draft(
    drafts: Sequence[Draft], number: int, rng: random.Random
) -> Draft | None:
    """Return a draft of the same parent as the first, a sentence or line left out.

    There is none if no text can do without one. No model is asked for it.
    """
    first = next((draft for draft in drafts if draft.jobs), None)
    found = None if first is None else _shortened(first.jobs, rng)
    if first is None or found is None:
        return None
    job, text = found
    return Draft(
        number=number,
        parent=first.parent,
        jobs=[],
        findings=first.findings,
        proposer=first.proposer,
        given={job.number: text},
        roles={job.number: job.task.role},
        is_part=False,
    )


def _shortened(jobs: Sequence[Job], rng: random.Random) -> tuple[Job, str] | None:
    """Return a job, and its text without a sentence that it can do without."""
    sizes = [(job, count_units(job.task.current)) for job in jobs]
    places = [(job, n) for job, size in sizes if size > 1 for n in range(size)]
    for job, place in rng.sample(places, min(len(places), _TRIES)):
        text = shortened(job.task.current, place)
        if _is_safe(text, job.task):
            return job, text
    return None


def _is_safe(text: str, task: Task) -> bool:
    try:
        check(text, task)
    except RewriteRefused:
        return False
    return True


def _key(draft: Draft) -> list[str]:
    return [normal(str(value)) for value in draft.values]


async def merge_draft(work: Round) -> Draft | None:
    """Return a draft that unites two candidates, after a step that found a new one."""
    pool, last = work.parts.pool, work.candidates[-1].step
    if work.merged >= work.parts.merges or not last or last < work.search._steps:
        return None
    await work._complete()
    pair = pool.parents(work.candidates, 2, work.rng)
    if len(pair) < 2:  # noqa: PLR2004 - it takes two
        return None
    pair.sort(key=lambda one: (one.mean or 0.0, one.number))
    other, base = pair
    nothing = Findings(grads=tuple(() for _ in work.params))
    jobs = [
        replace(job, task=replace(job.task, history=((theirs, ()),), rejected=()))
        for job in await work._all_jobs(base, nothing)
        if (theirs := str(other.values[job.number])) != job.task.current
    ]
    return Draft(
        number=work.proposed,
        parent=base,
        jobs=jobs,
        parents=(base.number, other.number),
        proposer=Merge(),
        is_part=False,
    )
