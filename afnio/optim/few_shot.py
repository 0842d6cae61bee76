"""FewShot: choose the worked examples that a prompt shows."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.optim._demos import (
    Row,
    check_rows,
    harvest,
    merged,
    random_set,
    rng_from,
    rng_state,
    swapped,
)
from afnio.optim._scores import asettle
from afnio.optim._tasks import label_of
from afnio.optim._trials import Trial, Trials, Verdict, best
from afnio.optim.gates import Gate, Improve
from afnio.optim.optimizer import Closure, Optimizer, ParamsT
from afnio.optim.records import Change, StepRecord

__all__ = ["FewShot"]

POOL_ROWS: Final = 1_000
"""Rows remembered per parameter, the latest ones."""

_TRIES: Final = 20
"""Draws per wanted candidate, until one has not been tried in this step."""

_Sets = dict[Variable, list[Row]]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A candidate that was evaluated."""

    sets: _Sets
    verdict: Verdict


@dataclass(slots=True)
class _Search:
    """One step's search: what may be drawn from, and what was tried."""

    rng: random.Random
    start: _Sets
    pools: dict[Variable, list[Row]]
    sizes: dict[Variable, int]
    tried: list[_Tried]
    seen: set[tuple[Any, ...]]

    def round(self, wanted: int) -> list[_Sets]:
        """Return new candidates: random ones first, later neighbours of the best."""
        found: list[_Sets] = []
        for _ in range(wanted * _TRIES):
            sets = self._neighbour() if self.tried else self._random()
            key = _key(sets)
            if key not in self.seen:
                self.seen.add(key)
                found.append(sets)
            if len(found) == wanted:
                break
        return found

    def _random(self) -> _Sets:
        return {
            param: random_set(self.rng, pool, self.sizes[param])
            for param, pool in self.pools.items()
        }

    def _neighbour(self) -> _Sets:
        leader = max(self.tried, key=lambda item: item.verdict.gain)
        sets = dict(leader.sets if leader.verdict.gain > 0 else self.start)
        param = self.rng.choice(list(self.pools))
        sets[param] = swapped(
            self.rng, sets[param], self.pools[param], self.sizes[param]
        )
        return sets

    def chosen(self) -> int | None:
        """Return which candidate passed its gate with the largest gain, or None."""
        return best([item.verdict for item in self.tried])


class FewShot(Optimizer):
    """Choose demonstrations by trying sets of them on the closure's samples.

    Rows come from training: the evidence in ``grad`` of the parameters gives the inputs
    and, for a sample that was right, the model's answer, otherwise the target. They are
    collected over steps. Every ``step(closure)`` tries random sets, then neighbours of
    the best set so far, and installs the best one that passes the gate against the
    present rows, on the same samples. Candidates are evaluated concurrently.

    Because the best of many is chosen, its score on these samples is optimistic; judge
    the result on others.

    Args:
        params: `Demonstrations`, or groups of them with ``demos`` and ``pool`` of their
            own.
        pool: Rows ``[field, ..., output]`` to draw from, instead of evidence.
        demos: Rows that a set has. A parameter's own ``max_demos`` caps it.
        candidates: Sets tried per round.
        rounds: Rounds per step; the first is random.
        gate: Who decides; default is `Improve`.
        seed: Of the optimizer's own random generator.
        labels: Whether the target of a failing sample may stand as a row's output. Turn
            it off where the target is not what this model call should reply.

    Model calls: ``1 + candidates * rounds`` evaluations by the closure at most, fewer
    with `Race` and a closure in blocks; none until there are ``demos`` rows.

    Raises:
        InputTypeError: A parameter holds no demonstrations.
        InputValueError: A number is too small.

    Example:
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
    bootstrap, paired gate against the present rows, local search.
    """

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
    ) -> None:
        for name, value in (("candidates", candidates), ("rounds", rounds)):
            if value < 1:
                raise InputValueError(f"{name} is {value}; expected 1 or more.")
        self.candidates = candidates
        self.rounds = rounds
        self.gate: Gate = Improve() if gate is None else gate
        self._rng = random.Random(seed)
        rows = None if pool is None else list(pool)
        super().__init__(params, {"demos": demos, "pool": rows, "labels": labels})

    @property
    def requires_closure(self) -> bool:
        """Whether ``step`` needs a closure: always."""
        return True

    def _check_group(self, group: dict[str, Any]) -> None:
        if group["demos"] < 1:
            raise InputValueError(f"demos is {group['demos']}; expected 1 or more.")
        for param in group["params"]:
            if not hasattr(param, "fields"):
                raise InputTypeError(
                    "FewShot chooses demonstrations; the parameter with role "
                    f"{shorten(param.role)!r} has no fields. Give it to TGD."
                )
            if group["pool"] is not None:
                group["pool"] = check_rows(group["pool"], _fields(param))

    async def _astep(self, closure: Closure | None = None) -> Any:
        trials = Trials(closure, type(self).__name__)
        await asettle([[param, param.grad] for param in self._params()])
        collected = self._collected()
        search = self._search(collected)
        parent = None
        if search.pools:
            parent = await trials.evaluate({})
            for _ in range(self.rounds):
                sets = search.round(self.candidates)
                verdicts = await trials.judge(sets, parent, self.gate, rank=True)
                search.tried += map(_Tried, sets, verdicts)
        return await self._commit(search, collected, parent)

    def _collected(self) -> dict[Variable, list[Row]]:
        """Return the rows known for each parameter, those of this step included."""
        known: dict[Variable, list[Row]] = {}
        for group in self.param_groups:
            for param in group["params"]:
                if group["pool"] is not None:
                    known[param] = group["pool"]
                    continue
                new = harvest(param.grad, _fields(param), labels=group["labels"])
                old = self.state.get(param, {}).get("pool", [])
                known[param] = merged(old, new, POOL_ROWS)
        return known

    def _search(self, collected: Mapping[Variable, list[Row]]) -> _Search:
        """Return a search over the parameters that have enough rows."""
        pools: dict[Variable, list[Row]] = {}
        sizes: dict[Variable, int] = {}
        for group in self.param_groups:
            for param in group["params"]:
                cap = getattr(param, "max_demos", None) or group["demos"]
                size = min(group["demos"], cap)
                rows = collected[param]
                if rows and (len(rows) >= size or group["pool"] is not None):
                    pools[param] = merged(_rows(param), rows, POOL_ROWS)
                    sizes[param] = size
        start = {param: _rows(param) for param in pools}
        rng = rng_from(rng_state(self._rng))
        return _Search(rng, start, pools, sizes, [], {_key(start)})

    async def _commit(
        self,
        search: _Search,
        collected: Mapping[Variable, list[Row]],
        parent: Trial | None,
    ) -> Any:
        self._steps += 1
        for group in self.param_groups:
            for param in group["params"]:
                if group["pool"] is None and collected[param]:
                    self.state[param]["pool"] = collected[param]
        self._rng = search.rng
        if parent is None:
            return None
        chosen = search.chosen()
        records = self._records(search, parent, chosen)
        if chosen is not None:
            for param, rows in search.tried[chosen].sets.items():
                param.data = rows
        await self._record(records)
        tried = None if chosen is None else search.tried[chosen].verdict.trial
        return parent.result if tried is None else tried.result

    def _records(
        self, search: _Search, parent: Trial, chosen: int | None
    ) -> list[StepRecord]:
        records = []
        for number, item in enumerate(search.tried):
            decision, trial = item.verdict.decision, item.verdict.trial
            reason = decision.reason
            if decision.accepted and number != chosen:
                reason = f"{reason}; candidate {chosen} gains more"
            record = StepRecord(
                step=self._steps,
                optimizer=type(self).__name__,
                candidate=number,
                changes=self._changes(item.sets),
                accepted=number == chosen,
                reason=reason,
                decision=decision,
                parent_scores=parent.scores[: len(trial.scores)],
                candidate_scores=trial.scores,
            )
            records.append(record)
        return records

    def _changes(self, sets: _Sets) -> tuple[Change, ...]:
        numbers = {param: number for number, param in enumerate(self._params())}
        changes = []
        for param, rows in sets.items():
            records = [item for grad in param.grad for item in grad.evidence]
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
        return {"rng": rng_state(self._rng)}

    def _load_search_state(self, saved: Mapping[str, Any]) -> None:
        if "rng" in saved:
            self._rng = rng_from(saved["rng"])


def _fields(param: Any) -> tuple[str, ...]:
    return tuple(param.fields)


def _rows(param: Variable) -> list[Row]:
    return [list(row) for row in param.data or []]


def _key(sets: _Sets) -> tuple[Any, ...]:
    return tuple(tuple(tuple(row) for row in rows) for rows in sets.values())
