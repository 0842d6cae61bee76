"""How fast an endpoint may be asked: one adaptive limiter per endpoint.

Concurrency rises by one per round of successes. A refused call waits on its own, as its
Retry-After says; refusals in a row are evidence that the whole endpoint is overloaded:
then concurrency halves, and everyone who asks there waits. What a provider announces of
its own limits is kept for each model (`_quotas`): calls wait instead of being refused,
and those of another model pass them. Limiters live on afnio's loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields
from itertools import count
from types import TracebackType
from typing import Final, NamedTuple, Self

from afnio.models._checks import check_number
from afnio.models._loop_local import LoopLocal
from afnio.models._quota_headers import News
from afnio.models._quotas import NO_LOAD, Load, Quotas
from afnio.models._window import Window

_log: Final = logging.getLogger("afnio.models")

LONGEST_PAUSE_S: Final = 120.0
"""Longest Retry-After that is obeyed."""

_NOTICEABLE_S: Final = 5.0
"""Waiting that a user wants explained."""

_EVIDENCE: Final = 3
"""Refusals without a success in between that mean more than bad luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one endpoint may be asked.

    Attributes:
        concurrency: Calls at once, at most; adapted to what the endpoint bears.
        requests_per_minute: Calls started in any 60 seconds.
        tokens_per_minute: Tokens, prompt and expected reply, in any 60 seconds.

    Raises:
        InputTypeError: A limit is no int.
        InputValueError: A limit is less than 1.
    """

    concurrency: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.name == "concurrency":
                check_number(field.name, value, least=1, whole=True)

    def strictest(self, other: Limits) -> Limits:
        """Return the lower of each limit."""

        def lower(left: int | None, right: int | None) -> int | None:
            return min((x for x in (left, right) if x is not None), default=None)

        return Limits(
            concurrency=min(self.concurrency, other.concurrency),
            requests_per_minute=lower(
                self.requests_per_minute, other.requests_per_minute
            ),
            tokens_per_minute=lower(self.tokens_per_minute, other.tokens_per_minute),
        )


class _Waiter(NamedTuple):
    number: int
    admitted: asyncio.Future[int]
    load: Load


class _Lane:
    """The calls to one model, and what its provider says is left for them."""

    __slots__ = ("name", "quotas", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.quotas = Quotas()
        self.waiting: deque[_Waiter] = deque()

    def head(self) -> _Waiter | None:
        """Return who waits longest, leaving out those who gave up."""
        while self.waiting and self.waiting[0].admitted.done():
            self.waiting.popleft()
        return self.waiting[0] if self.waiting else None


class Limiter:
    """Admits calls to one endpoint, first come first served.

    Args:
        limits: What holds at most.
        clock: Tells seconds; injected by tests.
        later: Schedules a callback, as ``loop.call_later``; injected by tests.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._later = later
        self._allowed = float(limits.concurrency)
        self._active = 0
        self._window = Window()
        self._lanes: dict[str, _Lane] = {}
        self._numbers = count()
        self._paused_until = 0.0
        self._lowered_at = float("-inf")
        self._refused = 0
        self._wakes_at = float("inf")

    @property
    def allowed(self) -> int:
        """Calls that may run at once at present."""
        return max(1, int(self._allowed))

    @property
    def active(self) -> int:
        """Calls that run now."""
        return self._active

    def tighten(self, limits: Limits) -> None:
        """Apply further limits; the strictest of all clients' holds."""
        if limits != self._limits:
            self._limits = self._limits.strictest(limits)
            self._allowed = min(self._allowed, float(self._limits.concurrency))

    def counts_tokens(self, model: str) -> bool:
        """Whether it matters how large a call is."""
        if self._limits.tokens_per_minute is not None:
            return True
        lane = self._lanes.get(model)
        return lane is not None and lane.quotas.counts_tokens

    def hear(self, model: str, news: Mapping[str, News], started: float) -> None:
        """Take in what an answer says is left, to a call that started then."""
        self._lane(model).quotas.hear(news, started, self._clock())

    def slot(self, load: Load = NO_LOAD, model: str = "") -> Slot:
        """Return a slot for one call: ``async with limiter.slot(load, model): …``."""
        return Slot(self, self._lane(model), load)

    async def acquire(self, lane: _Lane, load: Load) -> int:
        """Wait for admission; return the call's number in its lane."""
        if not any(other.waiting for other in self._lanes.values()) and (
            max(self._delay_s(load), lane.quotas.delay_s(self._clock(), load)) <= 0
        ):
            return self._admit(lane, load)
        admitted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        lane.waiting.append(_Waiter(next(self._numbers), admitted, load))
        self._wake()
        try:
            return await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.release(lane, admitted.result())  # admitted and cancelled at once
            raise

    def release(self, lane: _Lane, number: int) -> None:
        """Give a slot back."""
        self._active -= 1
        lane.quotas.end(number)
        self._wake()

    def succeeded(self) -> None:
        """Allow a little more: one call more per round of successes."""
        self._refused = 0
        if self._allowed < self._limits.concurrency:
            raised = self._allowed + 1.0 / self._allowed
            self._allowed = min(float(self._limits.concurrency), raised)

    def overloaded(self, started: float, retry_after_s: float | None) -> None:
        """Take a refusal in; from the third in a row on, allow half as much and pause.

        Of calls that ran together, one halves what is allowed. Nobody is made to wait
        for longer than a refused call itself would: such calls fail, each by its own.
        """
        self._refused += 1
        if self._refused < _EVIDENCE:
            return
        now = self._clock()
        if retry_after_s is not None and retry_after_s <= LONGEST_PAUSE_S:
            self._paused_until = max(self._paused_until, now + retry_after_s)
        if started > self._lowered_at:
            self._allowed = max(1.0, self._allowed / 2.0)
            self._lowered_at = now

    def now(self) -> float:
        """Tell the time, in seconds."""
        return self._clock()

    def _lane(self, model: str) -> _Lane:
        if (lane := self._lanes.get(model)) is None:
            lane = self._lanes[model] = _Lane(model)
        return lane

    def _admit(self, lane: _Lane, load: Load) -> int:
        now = self._clock()
        self._active += 1
        if self._limits.requests_per_minute or self._limits.tokens_per_minute:
            self._window.add(now, load.tokens)
        return lane.quotas.begin(now, load)

    def _delay_s(self, load: Load) -> float:
        """Return seconds to wait; infinite until a slot is given back."""
        if self._active >= self.allowed:
            return float("inf")
        now = self._clock()
        pause = self._paused_until - now
        if self._limits.requests_per_minute or self._limits.tokens_per_minute:
            pause = max(pause, self._window.delay_s(now, load.tokens, self._limits))
        return pause

    def _wake(self) -> None:
        """Admit who came first, of those whose model has something left."""
        while (lane := self._next_lane()) is not None:
            waiter = lane.waiting.popleft()
            waiter.admitted.set_result(self._admit(lane, waiter.load))

    def _next_lane(self) -> _Lane | None:
        """Return whose turn it is; set a timer if it is nobody's yet."""
        now, chosen, first = self._clock(), None, float("inf")
        for lane in self._lanes.values():
            if (head := lane.head()) is None:
                continue
            if (delay := lane.quotas.delay_s(now, head.load)) > 0:
                self._wake_after(delay, lane.name)
            elif head.number < first:
                chosen, first = lane, head.number
        if chosen is None:
            return None
        if (delay := self._delay_s(chosen.waiting[0].load)) > 0:
            self._wake_after(delay)
            return None
        return chosen

    def _wake_after(self, delay: float, model: str = "") -> None:
        due = self._clock() + delay
        if due >= self._wakes_at:
            return
        if model and delay >= _NOTICEABLE_S:
            _log.info(
                "%s: next to nothing is left of the provider's limits; further calls "
                "wait, for %.0f s at most.",
                model,
                delay,
            )
        self._wakes_at = due
        later = self._later or asyncio.get_running_loop().call_later
        later(delay, self._timer)

    def _timer(self) -> None:
        self._wakes_at = float("inf")
        self._wake()


class Slot:
    """Holds one admission for the length of a call."""

    __slots__ = ("_lane", "_limiter", "_load", "_number", "_started")

    def __init__(self, limiter: Limiter, lane: _Lane, load: Load) -> None:
        self._limiter = limiter
        self._lane = lane
        self._load = load
        self._number = 0
        self._started = 0.0

    def replied(self, output_tokens: int) -> None:
        """Learn how long the reply was."""
        self._lane.quotas.replied(output_tokens)

    async def __aenter__(self) -> Self:
        self._number = await self._limiter.acquire(self._lane, self._load)
        self._started = self._limiter.now()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from afnio.models._retry import is_throttled

        if error is None:
            self._limiter.succeeded()
        elif is_throttled(error):
            self._lane.quotas.refused()
            retry_after_s = getattr(error, "retry_after_s", None)
            self._limiter.overloaded(self._started, retry_after_s)
        self._limiter.release(self._lane, self._number)


_endpoints: Final[LoopLocal[dict[Hashable, Limiter]]] = LoopLocal(dict)


def limiter_for(endpoint: Hashable, limits: Limits) -> Limiter:
    """Return the running loop's limiter of ``endpoint``, an address and an account."""
    limiters = _endpoints.get()
    if (limiter := limiters.get(endpoint)) is None:
        limiter = limiters[endpoint] = Limiter(limits)
    limiter.tighten(limits)
    return limiter
