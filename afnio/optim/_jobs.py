"""One rewrite to ask for, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from afnio._text import cut_middle, shorten
from afnio._variable import Variable
from afnio._warn import warn
from afnio.optim._prompts import Task
from afnio.optim._rewrite import Outcome, rewrite
from afnio.optim._safety import normal
from afnio.optim._tasks import Settings, split_evidence
from afnio.optim.records import Change

_NOTE_CHARS: Final = 2_000
"""Characters of one piece of feedback kept in a record."""


@dataclass(frozen=True, slots=True)
class Job:
    """One rewrite to ask for, and what came of it."""

    param: Variable
    number: int
    grads: tuple[Variable, ...]
    settings: Settings
    task: Task
    outcome: Outcome | None = None

    @property
    def text(self) -> str | None:
        """The new text, if there is one."""
        return None if self.outcome is None else self.outcome.text

    @property
    def reason(self) -> str:
        """Why there is none."""
        return "" if self.outcome is None else self.outcome.reason

    async def run(self) -> Job:
        """Ask for the rewrite and return the job with its outcome."""
        args = self.settings.completion_args
        return replace(
            self, outcome=await rewrite(self.task, self.settings.client, args)
        )

    def change(self) -> Change:
        """Return the record of what the job would change."""
        task = self.task
        return Change(
            parameter=self.number,
            role=task.role,
            before=task.current,
            after=self.text,
            feedback=tuple(cut_middle(text, _NOTE_CHARS) for text in task.feedback),
            failures=len(task.failures),
            successes=len(task.successes),
            attempts=0 if self.outcome is None else self.outcome.attempts,
            note="" if self.outcome is None else self.outcome.note,
        )


def spread(job: Job, variant: int, count: int) -> Job:
    """Return the job as one of ``count`` variants: each shows other failures first."""
    failures, _ = split_evidence(job.grads)
    shift = variant * len(failures) // count
    shown = (*failures[shift:], *failures[:shift])[: job.task.options.failures]
    return replace(job, task=replace(job.task, failures=shown, variant=variant))


def values_of(jobs: Iterable[Job]) -> dict[Variable, Any]:
    """Return the data that usable rewrites give to their parameters."""
    return {job.param: job.text for job in jobs if job.text is not None}


def distinct(candidates: list[list[Job]]) -> list[list[Job]]:
    """Return the usable rewrites of each candidate, none where it repeats another."""
    seen: set[tuple[tuple[int, str], ...]] = set()
    kept: list[list[Job]] = []
    for jobs in candidates:
        usable = [job for job in jobs if job.text is not None]
        key = tuple((job.number, normal(str(job.text))) for job in usable)
        kept.append([] if key in seen else usable)
        seen.add(key)
    return kept


def warn_of_refusals(jobs: Iterable[Job]) -> None:
    """Warn of every parameter that stays as it was because no rewrite was usable."""
    for job in jobs:
        if job.text is None:
            warn(
                f"the parameter with role {shorten(job.task.role)!r} stays as it was: "
                f"{job.task.options.attempts} rewrites were unusable, the last because "
                f"{job.reason}",
            )
