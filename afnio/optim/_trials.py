"""Evaluating candidates: install their data, call the closure, restore."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from afnio._dispatch import call_user
from afnio._variable import Variable
from afnio.autodiff.grad_mode import no_grad
from afnio.errors import InputTypeError, StateError
from afnio.optim._checks import require_int
from afnio.optim._scores import asettle, sample_scores

Values: TypeAlias = Mapping[Variable, Any]
"""Data that a candidate gives to parameters."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluation of the program."""

    result: Any
    """What the closure returned; the scores, if that is no longer known."""
    scores: tuple[float | None, ...]


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
        self.blocks = require_int("closure.blocks", getattr(closure, "blocks", 1), 1)

    async def part(self, values: Values, block: int) -> Trial:
        """Evaluate one candidate on one block of samples."""
        args = (block,) if self.blocks > 1 else ()
        return await self.of(partial(self._closure, *args), values)

    async def of(self, work: Callable[[], Any], values: Values) -> Trial:
        """Call a function with a candidate installed, and wait for its scores."""
        async with self._turn:
            result = await self._call(values, work)
        await asettle(result)
        scores = tuple(sample_scores(result))
        if not scores:
            raise InputTypeError("the closure returned no scores.")
        return Trial(result, scores)

    async def _call(self, values: Values, work: Any) -> Any:
        inner = getattr(work, "func", work)
        if not inspect.iscoroutinefunction(inner):
            return await call_user(_call_with, values, work)
        with Installed(values), no_grad():
            return await work()


def _call_with(values: Values, work: Callable[[], Any]) -> Any:
    with Installed(values), no_grad():
        return work()


class Installed:
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
