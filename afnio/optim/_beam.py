"""The step of `BeamTGD`: critiques, rewrites, paraphrases, and a screen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

from afnio._dispatch import gather
from afnio._text import fill
from afnio.errors import RewriteRefused
from afnio.models._chat_client import ChatClient
from afnio.models._response_format import object_schema
from afnio.optim._catalogue_prompts import (
    CRITIQUE_CONTRACT,
    CRITIQUE_SYSTEM,
    CRITIQUE_USER,
)
from afnio.optim._drafts import Draft, ask_all
from afnio.optim._findings import Findings
from afnio.optim._jobs import Job
from afnio.optim._prompts import Task, render
from afnio.optim._question import (
    Answer,
    Question,
    answered,
    read_object,
)
from afnio.optim._racing import Entrant, evaluate
from afnio.optim._round import Round
from afnio.optim._tasks import split_evidence
from afnio.optim.pools import Candidate
from afnio.optim.proposers import Paraphrase

if TYPE_CHECKING:
    from afnio.optim._engine import Search
    from afnio.optim._trials import Trials
    from afnio.optim.beam_tgd import BeamTGD


@dataclass(frozen=True, slots=True)
class _Family:
    """Drafts that answer to the same failures."""

    jobs: tuple[Job, ...]
    drafts: list[Draft]


class BeamRound(Round):
    """Widens every parent by critiques, and narrows the lot by a screen."""

    def __init__(self, search: Search, closure: Any, trials: Trials) -> None:
        super().__init__(search, closure, trials)
        self.preset = cast("BeamTGD", search)
        self.families: list[_Family] = []

    # -- wider ---------------------------------------------------------------------

    def _draft(
        self, parent: Candidate, findings: Findings | None, jobs: Sequence[Job]
    ) -> None:
        """Add a draft for every critique that will be asked for."""
        for group in range(self.preset.groups):
            chosen = tuple(
                _of_group(job, group, self.preset.group_size) for job in jobs
            )
            shown = [job.task.failures for job in chosen]
            if group and not any(shown):
                break
            drafts = [self._new(parent, findings) for _ in range(self.preset.critiques)]
            self.families.append(_Family(chosen, drafts))

    def _new(self, parent: Candidate, findings: Findings | None) -> Draft:
        draft = Draft(
            number=self.proposed,
            parent=parent,
            jobs=[],
            findings=findings,
            proposer=self.parts.proposer,
        )
        self._enter(draft)
        return draft

    async def _propose(self) -> None:
        await gather(self._criticise(family) for family in self.families)
        rewrites = [draft for draft in self.drafts if draft.jobs]
        await ask_all(rewrites, self.candidates)
        variations = [
            self._vary(draft, number)
            for draft in rewrites
            if not draft.fate
            for number in range(self.preset.paraphrases)
        ]
        await ask_all(variations, [*self.candidates, *rewrites])
        for draft in variations:
            draft.jobs = [_compared_with(job, draft.parent) for job in draft.jobs]

    async def _criticise(self, family: _Family) -> None:
        """Give every draft a critique to answer to; some may get none."""
        count = len(family.drafts)
        critic = self.preset.critic
        answers = await gather(_critiques(job, count, critic) for job in family.jobs)
        for place, draft in enumerate(family.drafts):
            draft.jobs = [
                replace(job, task=_answering(job.task, answer.value[place], place))
                for job, answer in zip(family.jobs, answers, strict=True)
                if answer.value is not None and place < len(answer.value)
            ]
            if not draft.jobs:
                reasons = [answer.reason for answer in answers if answer.reason]
                said = "; ".join(reasons) or f"fewer than {place + 1} were given"
                draft.fate = f"no critique to answer to: {said}"

    def _vary(self, draft: Draft, number: int) -> Draft:
        """Add a draft that says what another one says in other words."""
        told = self._new(draft.parent, draft.findings)
        told.proposer = Paraphrase()
        told.given = {j.number: j.text for j in draft.jobs if j.text is not None}
        told.jobs = [
            replace(job, task=_to_reword(job.task, job.text, number), outcome=None)
            for job in draft.jobs
            if job.text is not None
        ]
        return told

    # -- narrower ------------------------------------------------------------------

    async def _judge(self) -> None:
        await self._screened()
        await super()._judge()

    async def _screened(self) -> None:
        """Drop the drafts that the screen does not let through."""
        screen, wanted = self.preset.screen, self.parts.parents
        alive = {draft.number: draft.enter(self.params) for draft in self._alive()}
        if screen is None or len(alive) <= wanted:
            return
        order = self.rng.sample(range(self.trials.blocks), self.trials.blocks)
        while numbers := screen.pulls(_seen(alive, order), len(order), wanted):
            await gather(
                evaluate(self.trials, [alive[n]], [order[len(alive[n].parts)]])
                for n in numbers
            )
        kept = screen.keep(_seen(alive, order), wanted)
        for draft in self._alive():
            if draft.number not in kept:
                known = alive[draft.number].known()
                draft.fate = (
                    f"mean {fmean(known):.3f} on {len(known)} samples; the screen let "
                    f"{len(kept)} of {len(alive)} through"
                    if known
                    else "no sample has a score"
                )


def _of_group(job: Job, group: int, size: int) -> Job:
    """Return the job with the failures of a group only."""
    failures, _ = split_evidence(job.grads)
    shown = failures[group * size : (group + 1) * size]
    return replace(job, task=replace(job.task, failures=shown, successes=()))


async def _critiques(
    job: Job, count: int, client: ChatClient | None
) -> Answer[list[str]]:
    """Ask why a text leads to failures; a client of its own gets no group's options."""
    number = "one reason" if count == 1 else f"{count} reasons"
    turns = (
        ("system", CRITIQUE_SYSTEM),
        ("user", fill(CRITIQUE_USER, {"count": number})),
    )
    names = [f"reason_{place}" for place in range(1, count + 1)]
    form = json.dumps(dict.fromkeys(names, "..."))
    contract = fill(CRITIQUE_CONTRACT, {"count": number, "form": form})
    question = Question(
        client=job.settings.client if client is None else client,
        messages=render(replace(job.task, turns=turns, per_sample=True), contract),
        contract=contract,
        args={
            "response_format": object_schema(
                "reasons", {name: {"type": "string"} for name in names}
            ),
            **(job.settings.completion_args if client is None else {}),
        },
        attempts=job.task.options.attempts,
        role="critic",
    )

    def read(reply: str | None) -> list[str]:
        found = read_object(reply)
        texts = [str(found.get(name) or "").strip() for name in names]
        if not any(texts):
            raise RewriteRefused(f"it has no {names[0]!r}.", reply=reply)
        return list(dict.fromkeys(text for text in texts if text))

    return await answered(question, read, [""] * count)


def _answering(task: Task, critique: str, place: int) -> Task:
    return replace(task, feedback=(critique,), variant=0 if critique else place)


def _to_reword(task: Task, text: str | None, number: int) -> Task:
    return replace(
        task,
        current=str(text),
        feedback=(),
        failures=(),
        history=(),
        rejected=(),
        variant=number,
    )


def _compared_with(job: Job, parent: Candidate) -> Job:
    """Return the job as a change of its parent's value, for the record."""
    current = str(parent.values[job.number])
    return replace(job, task=replace(job.task, current=current))


def _seen(entrants: dict[int, Entrant], order: Sequence[int]) -> dict[int, list[float]]:
    """Return mean scores on the blocks that each has seen, in this order."""
    found: dict[int, list[float]] = {}
    for number, entrant in entrants.items():
        scores = [entrant.parts[b].scores for b in order if b in entrant.parts]
        known = [[s for s in row if s is not None] for row in scores]
        found[number] = [fmean(row) if row else 0.0 for row in known]
    return found
