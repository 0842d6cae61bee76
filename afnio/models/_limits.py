"""How fast an endpoint may be asked: one adaptive limiter per endpoint.

Concurrency rises by one per round of successes. A refused call waits on its own, as its
Retry-After says; refusals in a row are evidence that the whole endpoint is overloaded:
then concurrency halves, and everyone who asks there waits. Limiters live on afnio's
loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Final, Self

from afnio.errors import InputValueError
from afnio.models._loop_local import LoopLocal

_MINUTE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 120.0
"""Longest Retry-After that is obeyed."""

_EVIDENCE: Final = 3
"""Refusals without a success in between that mean more than bad luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one endpoint may be asked.

    Attributes:
        concurrency: Calls at once, at most; adapted to what the endpoint bears.
        requests_per_minute: Calls started in any 60 seconds.
        tokens_per_minute: Tokens, prompt and expected reply, in any 60 seconds.
    """

    concurrency: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value < 1:
                raise InputValueError(f"{field.name} is {value}; expected 1 or more.")

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


class Window:
    """What was started in the last 60 seconds. Pure: the caller brings the time."""

    def __init__(self) -> None:
        self._started: deque[tuple[float, int]] = deque()
        self._tokens = 0

    def delay_s(self, now: float, tokens: int, limits: Limits) -> float:
        """Return the seconds until a call of ``tokens`` may start; 0 for now."""
        while self._started and self._started[0][0] <= now - _MINUTE_S:
            self._tokens -= self._started.popleft()[1]
        requests = limits.requests_per_minute
        wait = 0.0
        if requests is not None and len(self._started) >= requests:
            wait = self._started[-requests][0] + _MINUTE_S - now
        if limits.tokens_per_minute is not None:
            wait = max(wait, self._token_delay_s(now, tokens, limits.tokens_per_minute))
        return wait

    def _token_delay_s(self, now: float, tokens: int, limit: int) -> float:
        """A call larger than the limit starts alone, in an empty window."""
        excess, wait = self._tokens + tokens - limit, 0.0
        for started, spent in self._started:
            if excess <= 0:
                break
            excess -= spent
            wait = started + _MINUTE_S - now
        return wait

    def add(self, now: float, tokens: int) -> None:
        """Note that a call of ``tokens`` starts now."""
        self._started.append((now, tokens))
        self._tokens += tokens


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
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._paused_until = 0.0
        self._lowered_at = float("-inf")
        self._refused = 0
        self._timer_set = False

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

    def slot(self, tokens: int = 0) -> Slot:
        """Return a slot for one call: ``async with limiter.slot(tokens): …``."""
        return Slot(self, tokens)

    async def acquire(self, tokens: int) -> float:
        """Wait for admission; return when the call started."""
        if not self._waiting and self._delay_s(tokens) <= 0:
            return self._admit(tokens)
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.append((admitted, tokens))
        self._wake()
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.release()  # admitted and cancelled at once
            raise
        return self._clock()

    def release(self) -> None:
        """Give a slot back."""
        self._active -= 1
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

    def _admit(self, tokens: int) -> float:
        now = self._clock()
        self._active += 1
        if self._limits.requests_per_minute or self._limits.tokens_per_minute:
            self._window.add(now, tokens)
        return now

    def _delay_s(self, tokens: int) -> float:
        """Return seconds to wait; infinite until a slot is given back."""
        if self._active >= self.allowed:
            return float("inf")
        now = self._clock()
        pause = self._paused_until - now
        if self._limits.requests_per_minute or self._limits.tokens_per_minute:
            pause = max(pause, self._window.delay_s(now, tokens, self._limits))
        return pause

    def _wake(self) -> None:
        """Admit from the head of the queue as long as limits allow."""
        while self._waiting:
            admitted, tokens = self._waiting[0]
            if admitted.done():
                self._waiting.popleft()
                continue
            delay = self._delay_s(tokens)
            if delay > 0:
                self._wake_after(delay)
                return
            self._waiting.popleft()
            self._admit(tokens)
            admitted.set_result(None)

    def _wake_after(self, delay: float) -> None:
        if delay == float("inf") or self._timer_set:
            return
        self._timer_set = True
        later = self._later or asyncio.get_running_loop().call_later
        later(delay, self._timer)

    def _timer(self) -> None:
        self._timer_set = False
        self._wake()


class Slot:
    """Holds one admission for the length of a call."""

    __slots__ = ("_limiter", "_started", "_tokens")

    def __init__(self, limiter: Limiter, tokens: int) -> None:
        self._limiter = limiter
        self._tokens = tokens
        self._started = 0.0

    async def __aenter__(self) -> Self:
        self._started = await self._limiter.acquire(self._tokens)
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
            retry_after_s = getattr(error, "retry_after_s", None)
            self._limiter.overloaded(self._started, retry_after_s)
        self._limiter.release()


_endpoints: Final[LoopLocal[dict[str, Limiter]]] = LoopLocal(dict)


def limiter_for(endpoint: str, limits: Limits) -> Limiter:
    """Return the running loop's limiter of ``endpoint``."""
    limiters = _endpoints.get()
    if (limiter := limiters.get(endpoint)) is None:
        limiter = limiters[endpoint] = Limiter(limits)
    limiter.tighten(limits)
    return limiter
