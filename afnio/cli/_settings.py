"""Options that many commands have: what calls may cost, and who answers them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from afnio.cli._command import say
from afnio.cli._ledger import kept

if TYPE_CHECKING:
    from afnio.models import Budget, ReplyCache
    from afnio.models._cache import CacheMode

_CACHE_FILE: Final = "cache.sqlite"


class Mode(StrEnum):
    """What a cache does; see `afnio.models.ReplyCache`."""

    OFF = "off"
    READ_WRITE = "read-write"
    RECORD = "record"
    REPLAY = "replay"


_USD: Final = "AFNIO_RESUME_BUDGET_USD"
_CALLS: Final = "AFNIO_RESUME_BUDGET_CALLS"
"""Limits of a resumed run, in the place of those in its command."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Settings of all model calls."""

    budget_usd: Annotated[
        float | None,
        typer.Option(min=0, metavar="USD", help="All that calls may cost."),
    ] = None
    budget_calls: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Calls to pay for.")
    ] = None
    cache: Annotated[
        Mode | None,
        typer.Option(
            metavar="MODE",
            help="read-write: answer from the cache and add to it; record: ask anew "
            "and keep the answers; replay: never ask a model; off.",
        ),
    ] = None
    cache_path: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The cache file; by default cache.sqlite where runs are kept. On its "
            "own it means --cache read-write.",
        ),
    ] = None
    backward_model: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER/MODEL",
            help="Who writes critiques and rewrites, unless the program says so.",
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seeds Python's global random numbers."),
    ] = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the settings hold for the whole process inside the block."""
        from afnio.models import set_backward_model_client, set_budget, use_cache

        if self.seed is not None:
            random.seed(self.seed)
        budget, cache = self._budget(), self._cache()
        with ExitStack() as undo:
            if self.backward_model is not None:
                set_backward_model_client(self.backward_model)
            if budget is not None:
                undo.enter_context(kept(budget))
                set_budget(budget)
                undo.callback(set_budget, None)
            if cache is not None:
                use_cache(cache)
                undo.callback(cache.close)
                undo.callback(use_cache, None)
            try:
                yield
            finally:
                for line in _spent(budget, cache):
                    say(line)

    def _budget(self) -> Budget | None:
        from afnio.models import Budget

        usd = _limit(_USD, self.budget_usd)
        calls = _limit(_CALLS, self.budget_calls)
        if usd is None and calls is None:
            return None
        return Budget(usd=usd, calls=None if calls is None else int(calls))

    def _cache(self) -> ReplyCache | None:
        from afnio.models import ReplyCache

        mode = self.cache or (Mode.READ_WRITE if self.cache_path else Mode.OFF)
        if mode is Mode.OFF:
            return None
        path = self.cache_path or default_cache()
        return ReplyCache(path, cast("CacheMode", mode.value))


def default_cache() -> Path:
    """Return the cache file that is meant where none is named."""
    from afnio.tracking.store import runs_root

    return runs_root() / _CACHE_FILE


def raised(usd: float | None, calls: int | None) -> dict[str, str]:
    """Return the environment in which `ModelOptions` takes other limits."""
    given = {_USD: usd, _CALLS: calls}
    return {name: str(value) for name, value in given.items() if value is not None}


def _limit(name: str, given: float | None) -> float | None:
    text = os.environ.get(name)
    return given if text is None else float(text)


def _spent(budget: Budget | None, cache: ReplyCache | None) -> Iterator[str]:
    if budget is not None:
        spent = budget.spent
        yield f"afnio: {spent['calls']:,} calls paid, ${spent['usd']:.4f} of {budget!r}"
    if cache is not None:
        yield f"afnio: {cache.hits:,} calls answered from {cache.path}"
        if cache.mode == "record":
            yield f"afnio: new replies are recorded in {cache.path}"
