"""Evaluating candidates: install their data, call the closure, restore."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from afnio._dispatch import call_user, gather
from afnio._variable import Variable
from afnio.autodiff.grad_mode import no_grad
from afnio.errors import InputTypeError, StateError
from afnio.optim._scores import asettle, sample_scores
from afnio.optim._statistics import mean_difference
from afnio.optim.gates import Decision, Gate, SequentialGate

Values: TypeAlias = Mapping[Variable, Any]
"""Data that a candidate gives to parameters."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluation of the program."""

    result: Any
    """What the closure returned; a list of parts if it evaluates in blocks."""
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A candidate's evaluation, and what the gate said about it."""

    trial: Trial
    decision: Decision
    gain: float
    """Mean difference to the parent on everything that was evaluated."""


class Trials:
    """Evaluates candidates with a closure, several at a time.

    Operations keep the values they are called with. So the closure only has to be
    *called* with a candidate installed; its model calls run on while the next one is
    installed and called. A closure that waits inside makes the candidates take turns.

    Args:
        closure: Called as ``closure()``. If it has an attribute ``blocks`` above 1, it
            is called as ``closure(block)`` for each block from 0 instead, so that poor
            candidates are dropped early; every candidate must get the same samples.

    Raises:
        StateError: There is no closure.
        InputTypeError: It cannot be called.
    """

    def __init__(self, closure: Any, owner: str) -> None:
        if closure is None:
            raise StateError(
                f"{owner} accepts changes on evidence: call step(closure) with a "
                "function that evaluates the program and returns its scores."
            )
        if not callable(closure):
            raise InputTypeError(
                f"closure must be a function, got {type(closure).__name__}."
            )
        self._closure = closure
        self._turn = asyncio.Lock()
        self.blocks: int = getattr(closure, "blocks", 1)

    async def evaluate(self, values: Values) -> Trial:
        """Evaluate one candidate on everything."""
        parts = await gather(self.part(values, block) for block in range(self.blocks))
        return _joined(parts)

    async def judge(
        self,
        candidates: Sequence[Values],
        parent: Trial,
        gate: Gate,
        *,
        rank: bool = False,
    ) -> list[Verdict]:
        """Evaluate candidates at once, each only as far as the gate needs it.

        Args:
            candidates: What each would install.
            parent: The present values' evaluation.
            gate: Who decides.
            rank: Evaluate early winners on everything too, so gains can be compared.
        """
        return await gather(
            self._race(values, parent, gate, rank=rank) for values in candidates
        )

    async def _race(
        self, values: Values, parent: Trial, gate: Gate, *, rank: bool
    ) -> Verdict:
        if self.blocks == 1 or not isinstance(gate, SequentialGate):
            trial = await self.evaluate(values)
            return _verdict(parent, trial, gate.decide(parent.scores, trial.scores))
        decided: Decision | None = None
        parts: list[Trial] = []
        for block in range(self.blocks):
            parts.append(await self.part(values, block))
            trial = _joined(parts)
            seen = parent.scores[: len(trial.scores)]
            decided = decided or gate.early(seen, trial.scores, len(parent.scores))
            if decided is not None and not (decided.accepted and rank):
                break
        decided = decided or gate.decide(parent.scores, trial.scores)
        return _verdict(parent, trial, decided)

    async def part(self, values: Values, block: int) -> Trial:
        """Evaluate one candidate on one block of samples."""
        args = (block,) if self.blocks > 1 else ()
        async with self._turn:
            result = await self._call(values, args)
        await asettle(result)
        scores = tuple(sample_scores(result))
        if not scores:
            raise InputTypeError("the closure returned no scores.")
        return Trial(result, scores)

    async def _call(self, values: Values, args: tuple[int, ...]) -> Any:
        closure = self._closure
        if not inspect.iscoroutinefunction(closure):
            return await call_user(_call_with, values, closure, args)
        with _Installed(values), no_grad():
            return await closure(*args)


def _call_with(values: Values, closure: Any, args: tuple[int, ...]) -> Any:
    with _Installed(values), no_grad():
        return closure(*args)


class _Installed:
    """Gives parameters other data inside a ``with`` block."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._before: list[tuple[Variable, Any]] = []

    def __enter__(self) -> None:
        self._before = [(param, param.data) for param in self._values]
        for param, data in self._values.items():
            param.data = data

    def __exit__(self, *error: object) -> None:
        for param, data in self._before:
            param.data = data


def _verdict(parent: Trial, trial: Trial, decision: Decision) -> Verdict:
    seen = parent.scores[: len(trial.scores)]
    return Verdict(trial, decision, mean_difference(seen, trial.scores))


def _joined(parts: Sequence[Trial]) -> Trial:
    if len(parts) == 1:
        return parts[0]
    scores = tuple(score for part in parts for score in part.scores)
    return Trial([part.result for part in parts], scores)


def best(verdicts: Sequence[Verdict | None]) -> int | None:
    """Return which accepted candidate gains most, the first of equals, or None.

    Several accepted ones must have been evaluated on the same samples.
    """
    accepted = {
        number: verdict
        for number, verdict in enumerate(verdicts)
        if verdict is not None and verdict.decision.accepted
    }
    counts = {len(verdict.trial.scores) for verdict in accepted.values()}
    assert len(counts) <= 1, "gains on different samples cannot be compared"
    gains = {number: verdict.gain for number, verdict in accepted.items()}
    return max(gains, key=gains.__getitem__, default=None)
