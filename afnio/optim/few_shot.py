"""FewShot: choose the worked examples that a prompt shows."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.optim._checks import (
    require_bool,
    require_int,
    require_number,
    require_part,
)
from afnio.optim._demo_search import DemoSearch, key_of
from afnio.optim._demos import Row, check_rows, merged, rng_from, rng_state
from afnio.optim._halving import Contest
from afnio.optim._harvest import Harvest
from afnio.optim._known import KnownTrials
from afnio.optim._racing import Entrant, Ruling, chosen_among, gate_at
from afnio.optim._tasks import label_of
from afnio.optim._trials import Trials
from afnio.optim.gates import Gate, Improve
from afnio.optim.optimizer import Closure, Optimizer, ParamsT
from afnio.optim.records import Change, StepRecord

__all__ = ["FewShot"]

POOL_ROWS: Final = 1_000
"""Rows remembered per parameter, the latest ones."""


class FewShot(Optimizer):
    """Choose demonstrations by trying sets of them on the closure's samples.

    Rows come from training: the evidence in ``grad`` of the parameters gives the inputs
    and, for a sample that was right, the model's answer, otherwise the target. A
    closure that can train (such as `SampleClosure` with ``train``) needs no
    ``backward``: some samples are run in every step. Rows are collected over steps.

    Every ``step(closure)`` tries random sets, then neighbours of the best set so far
    (of the present rows, if those do better), and installs the best one that passes the
    gate against the present rows, on the same samples. Candidates are evaluated at the
    same time. At equal scores the newest candidate wins.

    A closure in blocks (an attribute ``blocks`` above 1; a `Trainer`'s has up to 5) is
    searched by successive halving: all candidates of a round are evaluated on the first
    block, the best ``keep`` of them on the next one, and so on until one is left. That
    one is evaluated on every block, and alone put to the gate. A sequential gate
    (`Race`) sees the blocks from the last to the first and asks for the present rows'
    scores only until it is sure. Without blocks, every candidate is evaluated on
    everything and put to the gate.

    Because the best of many is chosen, its score on these samples is optimistic; judge
    the result on others. Of 12 sets no better than the present rows, on 60 samples, a
    simulation has `Improve` accept one in 79 % of the steps, `Margin(0.1)` in 37 %.

    Args:
        params: `Demonstrations`, or groups of them with ``demos``, ``pool`` and
            ``labels`` of their own.
        pool: Rows ``[field, ..., output]`` to draw from, instead of evidence.
        demos: Rows that a set has. A parameter's own ``max_demos`` caps it.
        candidates: Sets tried per round.
        rounds: Rounds per step; the first is random.
        gate: Who decides; default is `Improve`.
        seed: Of the optimizer's own random generator.
        labels: Whether the target of a failing sample may stand as a row's output. Turn
            it off where the target is not what this model call should reply.
        keep: Share of the candidates that goes on after each block, rounded up; 1
            evaluates all on everything.
        reuse: Whether the present rows' scores are kept for the next step. That needs a
            closure with an attribute ``parameters``: all Variables that its result
            depends on, or a function that returns them. Such a closure must score the
            same samples in every step; the scores are dropped when the data of one of
            these Variables changes. Turn it off for programs whose answers vary.
        batch_size: Training samples that a step runs, for closures that can train.

    ``step`` returns the closure's result for the rows that stay, as far as these were
    evaluated. If there is nothing to try, it evaluates nothing and returns None.

    Model calls: without blocks, ``1 + candidates * rounds`` evaluations by the closure
    at most; none until there are ``demos`` rows. With blocks fewer: 12 candidates in
    one round on 5 blocks of 12 samples take ``(12 + 5 + 2 + 1 + 1) * 12`` = 252 samples
    and up to 60 for the present rows, not 780.

    Raises:
        InputTypeError: A parameter holds no demonstrations, or an option is of the
            wrong kind.
        InputValueError: A number is too small.

    Examples:
        >>> from afnio.cognitive import Demonstrations
        >>> demos = Demonstrations(fields=("word",))
        >>> pool = [["box", "boxes"], ["cat", "cats"]]
        >>> opt = FewShot([demos], pool=pool, demos=1)
        >>> opt.step(lambda: 1.0 if ["box", "boxes"] in demos.data else 0.0)
        1.0
        >>> demos.data
        [['box', 'boxes']]

    Source: the random search of DSPy's bootstrap (Khattab et al. 2023, arXiv
    2310.03714); differences: evidence of the backward pass instead of a separate
    bootstrap, paired gate against the present rows, local search. Successive halving:
    Jamieson and Talwalkar 2015, arXiv 1502.07943; difference: equal blocks.
    """

    credit_mode: ClassVar[str] = "passthrough"

    def __init__(
        self,
        params: ParamsT,
        *,
        pool: Iterable[Sequence[str]] | None = None,
        demos: int = 4,
        candidates: int = 8,
        rounds: int = 2,
        gate: Gate | None = None,
        seed: int = 0,
        labels: bool = True,
        keep: float = 0.4,
        reuse: bool = True,
        batch_size: int = 8,
    ) -> None:
        require_int("candidates", candidates, 1)
        require_int("rounds", rounds, 1)
        require_number("keep", keep, 0, 1)
        if not keep:
            raise InputValueError(f"keep is {keep}; expected above 0, at most 1.")
        require_bool("labels", labels)
        require_bool("reuse", reuse)
        if gate is not None:
            require_part("gate", gate, Gate, "a method decide")
        self.keep = keep
        self.reuse = reuse
        self.candidates = candidates
        self.rounds = rounds
        self.gate: Gate = Improve() if gate is None else gate
        self._rng = random.Random(require_int("seed", seed, 0))
        self._left: list[int] = []
        self.batch_size = require_int("batch_size", batch_size, 1)
        self._known = KnownTrials()
        rows = list(pool) if isinstance(pool, Iterable) else pool
        super().__init__(params, {"demos": demos, "pool": rows, "labels": labels})

    @property
    def requires_closure(self) -> bool:
        """Whether ``step`` needs a closure: always."""
        return True

    def _check_group(self, group: dict[str, Any]) -> None:
        require_int("demos", group["demos"], 1)
        for param in group["params"]:
            if not hasattr(param, "fields"):
                raise InputTypeError(
                    f"{type(self).__name__} chooses demonstrations; the one with role "
                    f"{shorten(param.role)!r} has no fields. Give it to TGD."
                )
            if group["pool"] is not None:
                group["pool"] = check_rows(group["pool"], tuple(param.fields))

    async def _astep(self, closure: Closure | None = None) -> Any:
        trials = Trials(closure, type(self).__name__)
        collected = await self._collect(closure)
        search = self._search(collected)
        params = self._params()
        known = self._known.recall(closure, params) if self.reuse else {}
        gate = gate_at(self.gate, self._steps)
        contest = Contest(trials, gate, self.keep, Entrant({}, parts=known))
        await self._compete(search, contest)
        rulings = await contest.rulings()
        chosen = chosen_among(rulings)
        kept = contest.incumbent if chosen is None else chosen.entrant
        records = self._records(contest, rulings, chosen, collected)
        reason = "" if chosen is None else chosen.decision.reason
        self._commit(search, collected, kept, reason)
        if self.reuse and kept.parts:
            self._known.store(closure, params, kept.parts)
        await self._record(records)
        return kept.result if contest.tried else None

    async def _compete(self, search: DemoSearch, contest: Contest) -> None:
        """Run the rounds."""
        for number in range(self.rounds if search.pools else 0):
            base = None
            if contest.leader is not None:
                ahead = contest.leader_is_ahead()
                base = contest.leader.values if ahead else search.start
            sets = search.draw(self.candidates, base)
            await contest.round(sets, last=number == self.rounds - 1)

    async def _collect(self, closure: Closure | None = None) -> Harvest:
        """Return the rows known for each parameter, those of this step included."""
        found = Harvest(rng_from(rng_state(self._rng)), list(self._left))
        given = all(group["pool"] is not None for group in self.param_groups)
        source = None if given else closure
        await found.fetch(source, self._params(), self.batch_size)
        for group in self.param_groups:
            for param in group["params"]:
                if group["pool"] is not None:
                    found.rows[param] = group["pool"]
                    continue
                new = found.new(param, labels=group["labels"])
                old = self.state.get(param, {}).get("pool", [])
                found.rows[param] = merged(old, new, POOL_ROWS)
        return found

    def _search(self, collected: Harvest) -> DemoSearch:
        """Return a search over the parameters that have enough rows."""
        pools: dict[Variable, list[Row]] = {}
        sizes: dict[Variable, int] = {}
        for group in self.param_groups:
            for param in group["params"]:
                cap = getattr(param, "max_demos", None) or group["demos"]
                size = min(group["demos"], cap)
                rows = collected.rows[param]
                enough = len(rows) >= size or group["pool"] is not None
                if rows and enough and param.requires_grad:
                    pools[param] = merged(_rows(param), rows, POOL_ROWS)
                    sizes[param] = size
        start = {param: _rows(param) for param in pools}
        return DemoSearch(collected.rng, start, pools, sizes, {key_of(start)})

    def _commit(
        self,
        search: DemoSearch,
        collected: Harvest,
        kept: Entrant,
        reason: str = "",
    ) -> None:
        self._steps += 1
        for group in self.param_groups:
            for param in group["params"]:
                if group["pool"] is None and collected.rows[param]:
                    self.state[param]["pool"] = collected.rows[param]
        self._rng, self._left = search.rng, collected.left
        for param, rows in kept.values.items():
            self._assign(param, rows, reason)

    def _records(
        self,
        contest: Contest,
        rulings: Sequence[Ruling],
        chosen: Ruling | None,
        collected: Harvest,
    ) -> list[StepRecord]:
        """Return a record of every candidate; the rows are still the old ones."""
        ruled = {ruling.entrant.number: ruling for ruling in rulings}
        records = []
        for entrant in contest.tried:
            ruling = ruled.get(entrant.number)
            reason = _reason(entrant, ruling, chosen, len(contest.tried))
            record = StepRecord(
                step=self._steps + 1,
                optimizer=type(self).__name__,
                candidate=entrant.number,
                changes=self._changes(entrant.values, collected),
                accepted=ruling is not None and ruling is chosen,
                reason=reason,
                decision=None if ruling is None else ruling.decision,
                parent_scores=() if ruling is None else ruling.parent_scores,
                candidate_scores=entrant.known() if ruling is None else ruling.scores,
            )
            records.append(record)
        return records

    def _changes(
        self, sets: Mapping[Variable, Any], collected: Harvest
    ) -> tuple[Change, ...]:
        numbers = {param: number for number, param in enumerate(self._params())}
        changes = []
        for param, rows in sets.items():
            records = collected.evidence(param)
            successes = sum(item.success for item in records)
            change = Change(
                parameter=numbers[param],
                role=label_of(param),
                before=_rows(param),
                after=[list(row) for row in rows],
                failures=len(records) - successes,
                successes=successes,
            )
            changes.append(change)
        return tuple(changes)

    def _search_state(self) -> dict[str, Any]:
        return {"rng": rng_state(self._rng), "left": list(self._left)}

    def _load_search_state(self, saved: Mapping[str, Any]) -> None:
        if "rng" in saved:
            self._rng = rng_from(saved["rng"])
            self._left = list(saved.get("left", ()))


def _rows(param: Variable) -> list[Row]:
    return [list(row) for row in param.data or []]


def _reason(
    entrant: Entrant, ruling: Ruling | None, chosen: Ruling | None, count: int
) -> str:
    """Say why a candidate of ``count`` was installed or not."""
    if ruling is None:
        return entrant.fate
    reason = ruling.decision.reason
    if len(entrant.parts) > 1:
        reason = f"best of {count}; {reason}"
    if ruling.decision.accepted and chosen is not None and ruling is not chosen:
        other = f"candidate {chosen.entrant.number}"
        reason = f"{reason}; {other} gains more, or as much and is newer"
    return reason
