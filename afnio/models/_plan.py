"""What a program would cost: calls are counted and priced, and none is sent."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from afnio._loop import home
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models._amounts import input_tokens, output_tokens, typical_tokens
from afnio.models._cache import ReplyCache
from afnio.models._counts import SampleCounts
from afnio.models._keys import Key
from afnio.models._messages import Reply, Request
from afnio.models._plan_text import table
from afnio.models._settings import Setting
from afnio.models._stand_in import stand_in_reply
from afnio.models._usage import Usage

if TYPE_CHECKING:
    from afnio.models._base import BaseModel

_WRITES: Final = ("read-write", "record")
_ROLES: Final = ("forward", "judge", "critic", "optimizer", "test")


@dataclass(frozen=True, slots=True)
class Range:
    """At least, likely, and at most."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(
            self.low + other.low, self.likely + other.likely, self.high + other.high
        )


_NONE: Final = Range(0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCalls:
    """Calls of one role to one model."""

    role: str
    model: str
    calls: int = 0
    """Calls that would be sent."""
    cached_calls: int = 0
    """Calls that the cache in force would answer."""
    input_tokens: Range = _NONE
    output_tokens: Range = _NONE
    cost_usd: Range | None = _NONE
    """US dollars; None where no price is known."""

    def __add__(self, other: PlannedCalls) -> PlannedCalls:
        mine, theirs = self.cost_usd, other.cost_usd
        return PlannedCalls(
            role=self.role,
            model=self.model,
            calls=self.calls + other.calls,
            cached_calls=self.cached_calls + other.cached_calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=None if mine is None or theirs is None else mine + theirs,
        )


class Plan:
    """What the calls dispatched inside a ``with plan()`` block would cost.

    See `afnio.models.plan`; ``print`` it for a table.
    """

    def __init__(
        self, reply_tokens: int | Mapping[str, int], *, everywhere: bool
    ) -> None:
        self._reply_tokens = reply_tokens
        self._everywhere = everywhere
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], PlannedCalls] = {}
        self._seen: set[str] = set()
        self._copies: dict[int, tuple[SampleCounts, SampleCounts]] = {}
        self._undone: dict[int, tuple[object, Callable[[], None]]] = {}
        self._numbers = itertools.count(1)
        self._token: Token[Plan | None] | None = None

    def __enter__(self) -> Self:
        if self._token is not None:
            raise StateError("this plan is already being made; make a new one.")
        if self._everywhere:
            _plan.apply(self)
        self._token = _plan._override.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._token is not None
        token, self._token = self._token, None
        try:
            if kind is None:
                _await_pending()
        finally:
            _plan._leave(token)
            if _plan.default is self:
                _plan.apply(None)
            for _, undo in reversed(self._undone.values()):
                undo()
            self._undone.clear()

    def __str__(self) -> str:
        return table(self)

    @property
    def rows(self) -> tuple[PlannedCalls, ...]:
        """One entry for each role and model, in the order in which roles are asked."""
        with self._lock:
            found = list(self._rows.values())
        return tuple(sorted(found, key=_order))

    @property
    def total(self) -> PlannedCalls:
        """All calls together; the cost is None if the price of any is unknown."""
        return sum(self.rows, PlannedCalls(role="total", model=""))

    @property
    def calls(self) -> int:
        """Calls that would be sent."""
        return self.total.calls

    @property
    def calls_by_role(self) -> dict[str, int]:
        """Calls that would be sent, by role."""
        found: dict[str, int] = {}
        for row in self.rows:
            found[row.role] = found.get(row.role, 0) + row.calls
        return found

    @property
    def cost_usd(self) -> Range | None:
        """US dollars for the calls counted; None if any price is unknown."""
        return self.total.cost_usd

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Models without a known price."""
        return tuple(sorted({r.model for r in self.rows if r.cost_usd is None}))

    def answer(
        self,
        client: BaseModel,
        request: Request,
        cached: tuple[ReplyCache | None, Key | None] = (None, None),
        stand_in: str | None = None,
    ) -> Reply:
        """Note a call instead of sending it.

        Args:
            client: Who would be asked.
            request: The call.
            cached: The cache in force and the call's key, if there are any.
            stand_in: An answer in the form asked for; a generic one where None.
        """
        cache, key = cached
        likely = self._likely(request.role)
        if cache is not None and key is not None:
            if (hit := cache.lookup(key)) is not None:
                self._add(_row(client, request, cached=True))
                return hit
            with self._lock:
                is_repeated = key.digest in self._seen
                self._seen.add(key.digest)
            if is_repeated and cache.mode in _WRITES:
                self._add(_row(client, request, cached=True))
                return stand_in_reply(request, stand_in, likely)
        self._add(_row(client, request, likely=likely))
        return stand_in_reply(request, stand_in, likely)

    def copy_of(self, counts: SampleCounts) -> SampleCounts:
        """Return counts of repeated questions for this plan: it must not shift them."""
        with self._lock:
            found = self._copies.get(id(counts))
            if found is None:
                found = self._copies[id(counts)] = (counts, counts.copy())
        return found[1]

    def next_number(self) -> int:
        """Return a number of its own for a stand-in, from 1."""
        return next(self._numbers)

    def undo_after(self, owner: object, undo: Callable[[], None]) -> None:
        """Call ``undo`` at the end of the plan; the first one of each owner counts."""
        with self._lock:
            self._undone.setdefault(id(owner), (owner, undo))

    def _likely(self, role: str) -> int:
        given = self._reply_tokens
        return given if isinstance(given, int) else given.get(role, _REPLY_TOKENS)

    def _add(self, row: PlannedCalls) -> None:
        key = (row.role, row.model)
        with self._lock:
            before = self._rows.get(key)
            self._rows[key] = row if before is None else before + row


_REPLY_TOKENS: Final = 200
"""Tokens that a reply is assumed to have, where nothing else is said."""

_plan: Final[Setting[Plan | None]] = Setting("plan", None)


def active_plan() -> Plan | None:
    """Return the plan that is being made here, if one is."""
    return _plan.get()


def plan(
    *,
    reply_tokens: int | Mapping[str, int] = _REPLY_TOKENS,
    everywhere: bool = False,
) -> Plan:
    """Count what the calls inside a ``with`` block would cost, sending none.

    Every call dispatched in the block is answered at once by a stand-in in the form
    asked for, and noted by role and model. A cache in force is read, so what it would
    answer is not counted as a call. Budgets, limits and usage notice nothing.

    The block waits at its end for what it has dispatched. Parameters, optimizers and a
    Trainer then are what they were before; feedback in ``grad`` stays.

    The number of calls is exact as far as it does not depend on replies: stand-ins are
    wrong answers, so a critic is asked about every sample; replies are taken to be
    usable at the first attempt; what runs only after a success may be missing. Where an
    optimizer tries candidates the number is an estimate (of runs that were measured,
    0.86 to 3 times the calls made): every rewrite is taken to be new and usable, and at
    equal scores it passes every gate, so that no evaluation stops early.

    Input tokens are counted in bytes: at most one token per byte, likely one for four.
    Replies have at most ``max_tokens`` (or the client's ``default_max_tokens``), and
    likely ``reply_tokens``; prompts that quote earlier replies are as long as that.

    Args:
        reply_tokens: Tokens that a reply likely has; one number, or one per role.
        everywhere: Also count calls that other threads make meanwhile, as a program
            that starts threads of its own needs.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> client = ScriptedModel()
        >>> with plan() as planned:
        ...     for number in range(3):
        ...         _ = client.chat([{"role": "user", "content": f"Question {number}"}])
        >>> planned.calls, planned.cost_usd.high, len(client.requests)
        (3, 0.0, 0)
    """
    is_mapping = isinstance(reply_tokens, Mapping)
    counts: Iterable[object] = reply_tokens.values() if is_mapping else (reply_tokens,)  # type: ignore[union-attr]
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int):
            raise InputTypeError(
                f"reply_tokens is {type(count).__name__}; expected an int, or a dict "
                "of role → int."
            )
        if count < 1:
            raise InputValueError(f"reply_tokens is {count}; expected 1 or more.")
    return Plan(reply_tokens, everywhere=everywhere)


def _await_pending() -> None:
    """Wait for what is pending, so that it is counted; its errors are its readers'."""
    here = home()
    if not here.is_current() and not here.lane.is_awaited():
        for deferred in here.in_flight():
            deferred.wait()


def _row(
    client: BaseModel, request: Request, *, cached: bool = False, likely: int = 0
) -> PlannedCalls:
    name = request.model or client.model
    if cached:
        return PlannedCalls(role=request.role, model=name or "", cached_calls=1)
    prompt = typical_tokens(request)
    inputs = Range(-(-prompt // 2), prompt, input_tokens(request))
    most = output_tokens(request.args, client.default_max_tokens)
    outputs = Range(min(1, most), min(likely, most), most)
    if request.kind == "embedding":
        outputs = _NONE
    return PlannedCalls(
        role=request.role,
        model=name or "",
        calls=1,
        input_tokens=inputs,
        output_tokens=outputs,
        cost_usd=_cost(client, name, inputs, outputs),
    )


def _cost(
    client: BaseModel, model: str | None, inputs: Range, outputs: Range
) -> Range | None:
    found: list[Decimal | None] = [
        client._prices.cost(Usage(input_tokens=i, output_tokens=o), model)
        for i, o in (
            (int(inputs.low), int(outputs.low)),
            (int(inputs.likely), int(outputs.likely)),
            (int(inputs.high), int(outputs.high)),
        )
    ]
    known = [float(cost) for cost in found if cost is not None]
    return Range(*known) if len(known) == len(found) else None


def _order(row: PlannedCalls) -> tuple[int, str, str]:
    known = row.role in _ROLES
    return _ROLES.index(row.role) if known else len(_ROLES), row.role, row.model
