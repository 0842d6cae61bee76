"""Options of each parameter that are combined by `MIPRO`: found once, then frozen."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from afnio._dispatch import gather
from afnio._text import fence, fill
from afnio.models._response_format import object_schema
from afnio.optim._catalogue_prompts import (
    GROUNDED_SYSTEM,
    GROUNDED_USER,
    SUMMARY_CONTRACT,
    SUMMARY_SYSTEM,
    SUMMARY_USER,
    TIPS,
)
from afnio.optim._demos import Row, random_set
from afnio.optim._graph import program_of
from afnio.optim._jobs import Job
from afnio.optim._prompts import Task
from afnio.optim._question import (
    Question,
    answered,
    read_object,
    read_text,
)
from afnio.optim._rewrite import rewrite
from afnio.optim._safety import normal
from afnio.optim.proposers import without_verdicts

if TYPE_CHECKING:
    from afnio.autodiff.evidence import Evidence

SUMMARY_SCHEMA: Final = object_schema("summary", {"summary": {"type": "string"}})

_SAMPLES: Final = 12
"""Samples that a summary is made of."""


async def instructions(jobs: Sequence[Job], count: int) -> dict[int, list[Any]]:
    """Return texts for every parameter, the present one first.

    Proposals are made at the same time, from a summary of the data, a run of the
    program, examples, and a different tip each.

    Model calls: 1 for the summary, and ``count - 1`` per parameter.
    """
    if not jobs or count < 2:  # noqa: PLR2004 - the present one is there
        return {job.number: [job.task.current] for job in jobs}
    summary = await _summary(jobs[0])
    program = program_of([_one_run(job.task) for job in jobs])
    facts = {
        "summary": fence(summary, "summary") if summary else "",
        "program": fence(program, "program") if program else "",
    }
    texts = await gather(
        _grounded(job, number, facts) for job in jobs for number in range(1, count)
    )
    found: dict[int, list[Any]] = {}
    for place, job in enumerate(jobs):
        mine = texts[place * (count - 1) : (place + 1) * (count - 1)]
        options = {normal(job.task.current): job.task.current}
        for text in mine:
            if text is not None:
                options.setdefault(normal(text), text)
        found[job.number] = list(options.values())
    return found


def _one_run(task: Task) -> Task:
    """Show one run: a right one, if there is one."""
    right = task.successes[:1]
    return replace(task, successes=right, failures=() if right else task.failures[:1])


async def _grounded(job: Job, number: int, facts: dict[str, str]) -> str | None:
    task = replace(
        without_verdicts(job.task),
        turns=(("system", GROUNDED_SYSTEM), ("user", GROUNDED_USER)),
        inputs={**facts, "tip": TIPS[number % len(TIPS)]},
    )
    outcome = await rewrite(task, job.settings.client, job.settings.completion_args)
    return outcome.text


async def _summary(job: Job) -> str:
    """Ask what the data is like; empty if no reply can be used."""
    samples = "\n".join(map(_sample, job.task.seen[:_SAMPLES]))
    if not samples:
        return ""
    values = {"samples": samples, "reply": SUMMARY_CONTRACT}
    question = Question(
        client=job.settings.client,
        messages=[
            {"role": "system", "content": SUMMARY_SYSTEM},
            {"role": "user", "content": fill(SUMMARY_USER, values)},
        ],
        contract=SUMMARY_CONTRACT,
        args={"response_format": SUMMARY_SCHEMA, **job.settings.completion_args},
        attempts=job.task.options.attempts,
    )

    def read(reply: str | None) -> str:
        return read_text(read_object(reply), "summary", reply)

    return (await answered(question, read, "")).value or ""


def _sample(record: Evidence) -> str:
    lines = [
        f"input {name}: {fence(str(v), 'value')}" for name, v in record.inputs.items()
    ]
    if record.target is not None:
        lines.append(f"expected: {fence(str(record.target), 'value')}")
    return fence("\n".join(lines), "sample")


def demo_sets(
    rng: random.Random, present: list[Row], rows: Sequence[Row], count: int, size: int
) -> list[Any]:
    """Return sets of rows, the present one first, the others random and of any size."""
    found: dict[str, list[Row]] = {str(present): present}
    if len(rows):
        found.setdefault("[]", [])
    for _ in range(count * 4):
        if len(found) >= count or not rows:
            break
        drawn = random_set(rng, rows, rng.randint(1, size))
        found.setdefault(str(drawn), drawn)
    return list(found.values())[:count]
