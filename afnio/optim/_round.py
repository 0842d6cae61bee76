"""Round: one step of a search, from evidence to decisions; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from afnio._dispatch import gather
from afnio._variable import Variable
from afnio.errors import StateError
from afnio.optim._demos import rng_from, rng_state
from afnio.optim._drafts import Draft, ask_all
from afnio.optim._findings import Findings, findings_on, train_size
from afnio.optim._jobs import Job, spread, warn_of_refusals
from afnio.optim._joint import is_stuck, merge_draft, shortened_draft, united_drafts
from afnio.optim._racing import Entrant, Ruling, evaluate, gate_at, judge, standings
from afnio.optim._scores import asettle, paired
from afnio.optim._tasks import settings_of, task_of
from afnio.optim._trials import Trial, Trials
from afnio.optim.pools import Candidate
from afnio.optim.records import StepRecord

if TYPE_CHECKING:
    from afnio.optim._engine import Search


class Round:
    """The work of one step, on copies of the search's state.

    Args:
        search: Whose parts and state apply.
        closure: Evaluates the program.
        trials: The same, for candidates.
    """

    def __init__(self, search: Search, closure: Any, trials: Trials) -> None:
        self.search, self.parts = search, search.parts
        if self.parts.pool.compares and getattr(closure, "parameters", None) is None:
            raise StateError(
                f"{type(search).__name__} compares candidates of different steps, so "
                "it has to know what their scores depend on. Pass a SampleClosure, or "
                "set closure.parameters to all Variables that the closure's result "
                "depends on, such as list(agent.parameters())."
            )
        self.closure, self.trials = closure, trials
        self.params = search._params()
        self.rng = rng_from(rng_state(search._rng))
        self.left = list(search._left)
        self.proposed, self.merged = search._proposed, search._merged
        keep = search._book.is_true(closure, self.params)
        self.candidates = [
            one if keep else one.with_scores({}) for one in search.candidates
        ]
        self.drafts: list[Draft] = []
        self._entrants: dict[int, Entrant] = {}
        self.installed = self._present()
        self.can_train = callable(getattr(closure, "train", None)) and train_size(
            closure
        )

    # -- candidates ----------------------------------------------------------------

    def _present(self) -> Candidate:
        """Return what the parameters hold as the last candidate, a new one if need be.

        Somebody may have changed them since the last step.
        """
        values = tuple(param.data for param in self.params)
        same = [one for one in self.candidates if one.values == values]
        if same:
            present = same[-1]
            if not self.parts.pool.compares:
                self.candidates.remove(present)
                self.candidates.append(present)
            return present
        present = Candidate(
            number=self.proposed, values=values, step=self.search._steps
        )
        self.proposed += 1
        self.candidates.append(present)
        return present

    @property
    def is_stuck(self) -> bool:
        """Whether the last step gained nothing."""
        return is_stuck(self.search.history, self.search._steps)

    def entrant_of(self, candidate: Candidate) -> Entrant:
        """Return a candidate with its known evaluations, the same one each time."""
        if candidate.number not in self._entrants:
            self._entrants[candidate.number] = Entrant(
                dict(zip(self.params, candidate.values, strict=True)),
                candidate.number,
                {b: Trial(list(s), s) for b, s in candidate.scores.items()},
            )
        return self._entrants[candidate.number]

    async def _complete(self) -> None:
        """Evaluate candidates as far as they are compared with each other."""
        if self.parts.pool.compares and len(self.candidates) > 1:
            entrants = [self.entrant_of(one) for one in self.candidates]
            await evaluate(self.trials, entrants, range(self.trials.blocks))
        self.candidates = [self._scored(one) for one in self.candidates]

    def _scored(self, candidate: Candidate) -> Candidate:
        entrant = self._entrants.get(candidate.number)
        if entrant is None:
            return candidate
        parts = sorted(entrant.parts.items())
        return candidate.with_scores({b: trial.scores for b, trial in parts})

    # -- the steps of a step -------------------------------------------------------

    async def run(self) -> None:
        """Find evidence, propose, evaluate, decide."""
        await self.propose()
        await self._check()
        await self._try_united()
        self._cut()
        await self._judge()
        await self.choose()

    async def propose(self) -> None:
        """Find evidence, and make all proposals."""
        await asettle([[param, param.grad] for param in self.params])
        for parent in await self._parents():
            findings = self._filtered(await self._evidence(parent))
            jobs = [] if findings is None else await self._jobs(parent, findings)
            if jobs:
                self._draft(parent, findings, jobs)
        await self._draft_merge()
        if self.parts.prune and self.is_stuck:
            self._enter(shortened_draft(self.drafts, self.proposed, self.rng))
        await self._propose()

    async def choose(self) -> None:
        """Choose what to install, when all drafts are decided on."""
        await self._complete()
        self.installed = self.parts.pool.best(self.candidates)

    async def _parents(self) -> list[Candidate]:
        """Return whom to go on from: without training samples, what is installed."""
        if not self.can_train:
            return [self.installed]
        await self._complete()
        return self.parts.pool.parents(self.candidates, self.parts.parents, self.rng)

    async def _evidence(self, parent: Candidate) -> Findings | None:
        """Return what went wrong with a parent.

        Training samples tell, if the closure has any; else what is in ``grad``.
        """
        if not self.can_train:
            return Findings(grads=tuple(tuple(param.grad) for param in self.params))
        found = None
        for _ in range(self.parts.sampler.tries):
            numbers = self.parts.sampler.draw(
                train_size(self.closure), self.left, self.rng
            )
            values = dict(zip(self.params, parent.values, strict=True))
            found = await findings_on(
                self.closure, values, numbers, self.search.credit_mode
            )
            if found.has_feedback:
                break
        return found

    def _filtered(self, findings: Findings | None) -> Findings | None:
        """Let a control have its way with the evidence."""
        change = self.search.evidence_filter
        if change is None or findings is None:
            return findings
        return replace(findings, grads=tuple(map(tuple, change(findings.grads))))

    async def _jobs(self, parent: Candidate, findings: Findings) -> list[Job]:
        """Return a job for every parameter with feedback."""
        jobs = await self._all_jobs(parent, findings)
        return [job for job in jobs if job.task.feedback]

    async def _all_jobs(self, parent: Candidate, findings: Findings) -> list[Job]:
        """Return a job for every parameter that holds text and is not frozen."""
        jobs: list[Job] = []
        numbers = {param: number for number, param in enumerate(self.params)}
        for group in self.search.param_groups:
            settings = await settings_of(self.search.settings_group(group))
            for param in group["params"]:
                if hasattr(param, "fields") or not param.requires_grad:
                    continue
                number = numbers[param]
                grads = findings.grads[number]
                task = task_of(param, grads, [], settings, self.search.options)
                task = replace(
                    task,
                    current=parent.values[number],
                    edits=group.get("edit_lr", task.edits),
                )
                task = self.parts.memory.recall(task, number, self.search.history)
                jobs.append(Job(param, number, grads, settings, task))
        return jobs

    def _draft(
        self, parent: Candidate, findings: Findings | None, jobs: Sequence[Job]
    ) -> None:
        """Add one draft per proposal; each looks at other failures first."""
        count = self.parts.proposals
        for variant in range(count):
            chosen = self.parts.selector.select(jobs, self.proposed)
            draft = Draft(
                number=self.proposed,
                parent=parent,
                jobs=[spread(job, variant, count) for job in chosen],
                findings=findings,
                proposer=self.parts.proposer,
            )
            self._enter(draft)

    async def _draft_merge(self) -> None:
        draft = await merge_draft(self)
        self._enter(draft)
        self.merged += draft is not None

    def _enter(self, draft: Draft | None) -> None:
        if draft is not None:
            self.drafts.append(draft)
            self.proposed += 1

    async def _propose(self) -> None:
        await ask_all(self.drafts, self.candidates)

    async def _check(self) -> None:
        """Let only those pass that do better on the training samples they came from."""
        gate = self.parts.check
        if gate is None:
            return
        drafts = [d for d in self._alive() if d.findings and d.findings.numbers]
        trials = await gather(self._tried(draft) for draft in drafts)
        for draft, trial in zip(drafts, trials, strict=True):
            assert draft.findings is not None
            theirs, mine = paired(draft.findings.scores, trial.scores)
            decision = gate_at(gate, self.search._steps).decide(theirs, mine)
            if decision.accepted:
                draft.gain = decision.difference
            else:
                draft.checked = True
                draft.ruling = Ruling(draft.enter(self.params), decision, theirs, mine)

    async def _try_united(self) -> None:
        """Judge all changes that are left together; if they win, none alone."""
        alive = self._alive()
        joint = united_drafts(alive, self.proposed) if self.parts.unite else []
        if not joint:
            return
        self.proposed += len(joint)
        apart, self.drafts = self.drafts, joint
        await self._judge()
        self.drafts = [*apart, *joint]
        won = {draft.parent.number: draft for draft in joint if draft.joined}
        for draft in alive:
            winner = won.get(draft.parent.number)
            if winner is not None:
                word = "part of" if draft in winner.parts else "not tested beside"
                draft.fate = f"{word} candidate {winner.number}"

    def _cut(self) -> None:
        """Let only the best of those go on that were checked."""
        drafts = [draft for draft in self._alive() if draft.gain is not None]
        drafts.sort(key=lambda draft: (draft.gain, draft.number), reverse=True)
        most = self.parts.finalists
        for draft in drafts[most:] if most else ():
            draft.fate = (
                f"gains {draft.gain:+.3f} on training samples; the best {most} went on"
            )

    async def _tried(self, draft: Draft) -> Trial:
        assert draft.findings is not None
        numbers = draft.findings.numbers
        train = partial(self.closure.train, numbers)
        return await self.trials.of(train, dict(self._values(draft)))

    def _values(self, draft: Draft) -> Mapping[Variable, Any]:
        return dict(zip(self.params, draft.values, strict=True))

    def _alive(self) -> list[Draft]:
        return [d for d in self.drafts if not d.fate and d.ruling is None]

    async def _judge(self) -> None:
        """Put what is left to the gate, each against its own parent."""
        order = self.rng.sample(range(self.trials.blocks), self.trials.blocks)
        gate = gate_at(self.parts.gate, self.search._steps)
        families: dict[int, list[Draft]] = {}
        alive = self._alive()
        for draft in alive:
            draft.enter(self.params)
            families.setdefault(draft.parent.number, []).append(draft)
        ruled = await gather(
            judge(
                self.trials,
                [draft.entrant for draft in family if draft.entrant],
                self.entrant_of(family[0].parent),
                gate,
                order,
            )
            for family in families.values()
        )
        for family, rulings in zip(families.values(), ruled, strict=True):
            for draft, ruling in zip(family, rulings, strict=True):
                draft.ruling = ruling
        self._admit([d for d in alive if d.ruling and d.ruling.decision.accepted])

    def _admit(self, accepted: Sequence[Draft]) -> None:
        """Add accepted drafts to the candidates, the best one last."""
        if self.parts.pool.compares:
            ranked = list(accepted)
        else:
            totals = standings([d.entrant for d in accepted if d.entrant])
            ranked = sorted(accepted, key=lambda d: (totals[d.number], d.number))[-1:]
        for draft in ranked:
            assert draft.entrant is not None
            draft.joined = True
            self._entrants[draft.number] = draft.entrant
            self.candidates.append(draft.candidate(self.search._steps + 1))

    # -- what came of it -----------------------------------------------------------

    def records(self) -> list[StepRecord]:
        """Return a record of every proposal."""
        name, step = type(self.search).__name__, self.search._steps + 1
        rival = next((d.number for d in self.drafts if d.joined), None)
        return [draft.record(step, name, rival) for draft in self.drafts]

    def note(self) -> str:
        """Say how the installed values came about."""
        for draft in self.drafts:
            if draft.number == self.installed.number and draft.ruling is not None:
                return draft.ruling.decision.reason
        return f"candidate {self.installed.number}"

    def warn(self) -> None:
        """Warn of parameters for which no proposal of the step could be used."""
        jobs = [job for draft in self.drafts for job in draft.jobs]
        usable = {job.number for job in jobs if job.text is not None}
        unusable = {j.number: j for j in jobs if j.number not in usable}
        warn_of_refusals(unusable.values())

    def result(self) -> Any:
        """Return the closure's result for what is installed, as far as it is known."""
        entrant = self._entrants.get(self.installed.number)
        return entrant.result if entrant is not None and entrant.parts else None
