"""The step of `SIMBA`: several runs of the same samples, and what sets them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

from afnio.autodiff.evidence import Evidence
from afnio.errors import StateError
from afnio.optim._demos import Row, merged
from afnio.optim._drafts import Draft
from afnio.optim._findings import Findings, rollouts_on, train_size
from afnio.optim._jobs import Job
from afnio.optim._round import Round
from afnio.optim._tasks import label_of
from afnio.optim.pools import Candidate

if TYPE_CHECKING:
    from afnio.optim._engine import Search
    from afnio.optim._trials import Trials
    from afnio.optim.simba import SIMBA


@dataclass(frozen=True, slots=True)
class _Bucket:
    """All runs of one sample."""

    position: int
    """Its place in the batch."""
    scores: tuple[float, ...]
    """Of each run."""

    @property
    def rank(self) -> tuple[float, float, float]:
        """What makes it worth learning from: the widest gap first."""
        top = max(self.scores)
        return (top - min(self.scores), top - fmean(self.scores), -top)

    @property
    def best(self) -> int:
        """The run that did best, the first of equals."""
        return self.scores.index(max(self.scores))

    @property
    def worst(self) -> int:
        """The run that did worst, the first of equals."""
        return self.scores.index(min(self.scores))


class SIMBARound(Round):
    """Contrasts runs of the same samples."""

    def __init__(self, search: Search, closure: Any, trials: Trials) -> None:
        super().__init__(search, closure, trials)
        self.preset = cast("SIMBA", search)
        if not self.can_train:
            raise StateError(
                "SIMBA runs training samples several times, but this closure has none. "
                "Pass a SampleClosure with train=..."
            )
        self.runs: dict[int, list[Findings]] = {}

    async def _evidence(self, parent: Candidate) -> Findings | None:
        """Run a batch several times; the scores are means over the runs."""
        total = train_size(self.closure)
        numbers = self.parts.sampler.draw(total, self.left, self.rng)
        values = dict(zip(self.params, parent.values, strict=True))
        count, mode = self.preset.rollouts, self.search.credit_mode
        found = await rollouts_on(self.closure, values, numbers, mode, count)
        runs = [self._filtered(run) or run for run in found]
        self.runs[parent.number] = runs
        grads = tuple(
            tuple(grad for run in runs for grad in run.grads[number])
            for number in range(len(self.params))
        )
        scores = tuple(map(_mean, zip(*(run.scores for run in runs), strict=True)))
        return Findings(grads=grads, numbers=tuple(numbers), scores=scores)

    async def _jobs(self, parent: Candidate, findings: Findings) -> list[Job]:
        """Return a job for every parameter that holds text."""
        return await self._all_jobs(parent, findings)

    async def _parents(self) -> list[Candidate]:
        """Return whom to go on from; each is run, whether it holds text or rows."""
        found = await super()._parents()
        for parent in found if not self._has_text() else ():
            findings = self._filtered(await self._evidence(parent))
            self._draft(parent, findings, [])
        return found if self._has_text() else []

    def _has_text(self) -> bool:
        return any(
            param.requires_grad and not hasattr(param, "fields")
            for param in self.params
        )

    def _draft(
        self, parent: Candidate, findings: Findings | None, jobs: Sequence[Job]
    ) -> None:
        """Add a draft for each of the most telling samples."""
        runs = self.runs[parent.number]
        for bucket in _buckets(runs)[: self.parts.proposals]:
            pairs = [_contrasted(job, runs, bucket) for job in jobs]
            rules = [job for job in pairs if job is not None]
            rows = self._rows(parent, runs, bucket)
            if rows and (not rules or self.rng.random() < self.preset.demo_rate):
                self._learn(parent, findings, [], rows)
            elif rules:
                self._learn(parent, findings, rules, {})

    def _learn(
        self,
        parent: Candidate,
        findings: Findings | None,
        jobs: Sequence[Job],
        given: dict[int, list[Row]],
    ) -> None:
        chosen = self.parts.selector.select(jobs, self.proposed) if jobs else []
        draft = Draft(
            number=self.proposed,
            parent=parent,
            jobs=chosen,
            findings=findings,
            proposer=self.parts.proposer,
            given=given,
            roles={number: label_of(self.params[number]) for number in given},
        )
        self._enter(draft)

    def _rows(
        self, parent: Candidate, runs: Sequence[Findings], bucket: _Bucket
    ) -> dict[int, list[Row]]:
        """Return the demonstrations with the best run of a sample added."""
        found: dict[int, list[Row]] = {}
        for number, param in enumerate(self.params):
            fields = getattr(param, "fields", None)
            record = _at(runs[bucket.best], number, bucket.position)
            if fields is None or record is None or not record.success:
                continue
            if not param.requires_grad:
                continue
            if any(record.inputs.get(name) is None for name in fields):
                continue
            row = [*(str(record.inputs[name]) for name in fields), str(record.output)]
            size = getattr(param, "max_demos", None) or self.preset.demos
            old = [list(each) for each in parent.values[number] or []]
            rows = merged(old, [row], size)
            if rows != old:
                found[number] = rows
        return found


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return fmean(known) if known else None


def _buckets(runs: Sequence[Findings]) -> list[_Bucket]:
    """Return samples by how much their runs differ; without those always right."""
    found = []
    for position in range(len(runs[0].scores)):
        scores = [run.scores[position] for run in runs]
        known = tuple(score for score in scores if score is not None)
        if len(known) == len(scores):
            found.append(_Bucket(position, known))
    return sorted(found, key=lambda bucket: bucket.rank, reverse=True)


def _at(run: Findings, parameter: int, position: int) -> Evidence | None:
    """Return what a run says about a parameter, at a sample's place in the batch."""
    records = [record for grad in run.grads[parameter] for record in grad.evidence]
    if len(records) == len(run.scores):
        return records[position]
    return next((one for one in records if one.index == position), None)


def _contrasted(job: Job, runs: Sequence[Findings], bucket: _Bucket) -> Job | None:
    """Return the job with a better and a worse run, if there are such runs."""
    worse = _at(runs[bucket.worst], job.number, bucket.position)
    better = _at(runs[bucket.best], job.number, bucket.position)
    if worse is None or better is None or worse.success:
        return None
    if not bucket.rank[0]:  # all runs are alike: what is expected does better
        if worse.target is None:
            return None
        better = worse.but(output=worse.target, score=None)
    task = replace(job.task, failures=(worse,), successes=(better,))
    return replace(job, task=task)
