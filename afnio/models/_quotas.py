"""What is left of a provider's own limits, as its answers announce it.

Each answer says how much remains and when all of it is back. What remains, less what is
under way and not yet counted there, may be started; the rest waits instead of being
refused. Pure: the caller brings the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final

from afnio.models._quota_headers import News

LONGEST_RESET_S: Final = 120.0
"""News of a later reset are not acted on: nobody would sit that out."""

_SLACK_S: Final = 1.0
"""What clocks, rounding and the way to the server may make of a moment."""

_VAIN: Final = 2
"""Waits in a row that changed nothing, after which the headers are not believed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one call is expected to take, in tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    """As the call allows; 0 where it sets no maximum."""

    @property
    def tokens(self) -> int:
        """Prompt and reply."""
        return self.input_tokens + self.output_tokens


NO_LOAD: Final = Load()

_COSTS: Final[Mapping[str, Callable[[Load, float], float]]] = {
    "requests": lambda _load, _usual: 1.0,
    "tokens": lambda load, usual: load.input_tokens + (load.output_tokens or usual),
    "used_tokens": lambda load, usual: load.input_tokens + usual,
    "input_tokens": lambda load, _usual: load.input_tokens,
    "output_tokens": lambda _load, usual: usual,
}
"""What is counted → what a call takes of it, where replies usually have so many tokens.

OpenAI counts the longest reply that a call allows, Anthropic what the reply has.
"""


class Quota:
    """What is left of one thing that a provider counts.

    It comes back at one moment, or bit by bit. The latter is taken for granted only
    where answers show it: their reset lies further and further ahead.
    """

    def __init__(self) -> None:
        self.limit = 1.0
        self._left = 1.0
        self._counted_at = float("-inf")  # later calls are not in `_left`
        self._newest = float("-inf")  # when the call started that told of the reset
        self._heard_at = 0.0
        self._resets: tuple[float, float] | None = None  # not before, not after
        self._refill = 0.0  # per second, as last heard
        self._refills = False
        self._may_refill = True
        self._opened_at = float("inf")
        self._taken = 0.0
        self._waited = False
        self._vain = 0

    def hear(self, news: News, started: float, now: float) -> None:
        """Take in what the answer to a call says that started at ``started``."""
        self._roll(now)
        self._doubt(news, started)
        self.limit = float(news.limit)
        early, late = started + news.reset_s, now + news.reset_s
        if self._resets is None:
            self._open(news, started, now, (early, late))
            return
        not_before, not_after = self._resets
        if early > not_after + _SLACK_S and now < not_before:
            self._refills = self._may_refill
        if self._refills:
            if started >= self._counted_at:
                self._open(news, started, now, (early, late))
            return
        if started >= self._newest:  # an older call may tell of an older window
            self._newest, self._resets = started, (early, late)
        if news.remaining <= self._left:
            self._left, self._counted_at = float(news.remaining), started

    def take(self, cost: float) -> None:
        """Note that a call starts."""
        self._taken += cost

    def lost(self, cost: float) -> None:
        """Note that a call ended without news: it may have been counted."""
        if self._resets is not None:
            self._left -= cost

    def refused(self) -> None:
        """Note that the provider refused a call: it means what it says, and more."""
        self._vain = 0
        self._refills = self._may_refill = False

    def delay_s(
        self, now: float, cost: float, busy_since: Callable[[float], float]
    ) -> float:
        """Return the seconds until a call of ``cost`` may start.

        Args:
            now: The time.
            cost: What the call takes; one above the limit waits for all of it.
            busy_since: Tells what calls under way take that started after a moment.
        """
        self._roll(now)
        if self._vain >= _VAIN:
            return 0.0
        busy = busy_since(self._counted_at - _SLACK_S)  # not in the provider's count
        back = self._refill * (now - self._heard_at) if self._refills else 0.0
        lacks = min(cost, self.limit) - min(self.limit, self._left + back) + busy
        if lacks <= 0:
            return 0.0
        if self._resets is None:  # until the next answer says more
            silence = self._opened_at + LONGEST_RESET_S - now
            return max(0.0, silence) if busy else 0.0
        self._waited = True
        wait = self._resets[1] - now
        return min(wait, lacks / self._refill) if self._refills else wait

    def _open(
        self, news: News, started: float, now: float, resets: tuple[float, float]
    ) -> None:
        self._left, self._counted_at = float(news.remaining), started
        self._newest = started
        self._heard_at, self._resets = now, resets
        used = news.limit - news.remaining
        self._refill = (used or news.limit) / max(news.reset_s, 1e-6)

    def _roll(self, now: float) -> None:
        """Have all of it back once the announced moment is over."""
        if self._resets is None or now < self._resets[1]:
            return
        self._left, self._resets, self._refill = self.limit, None, 0.0
        self._counted_at = self._opened_at = now
        self._taken = 0.0

    def _doubt(self, news: News, started: float) -> None:
        """See whether waiting helped; a header that always says 0 is no news."""
        if not self._waited or started < self._opened_at:
            return
        self._waited = False
        helped = news.remaining > 0 or self._taken * 2 > self.limit
        self._vain = 0 if helped else self._vain + 1


class Quotas:
    """All that a provider counts for one model, and the calls under way."""

    def __init__(self) -> None:
        self._quotas: dict[str, Quota] = {}
        self._under_way: dict[int, tuple[float, Load]] = {}
        self._numbers = count()
        self._untold = 0
        self._usual = 0.0

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how large a call is."""
        return any(kind != "requests" for kind in self._quotas)

    def hear(self, news: Mapping[str, News], started: float, now: float) -> None:
        """Take in what an answer says, before its call ends here."""
        for kind, one in news.items():
            if one.reset_s > LONGEST_RESET_S:
                self._quotas.pop(kind, None)
                continue
            quota = self._quotas.get(kind)
            if quota is None:
                quota = self._quotas[kind] = Quota()
            quota.hear(one, started, now)
        self._untold -= bool(news)

    def delay_s(self, now: float, load: Load) -> float:
        """Return the seconds until a call may start, if none ends before."""
        if not self._quotas:
            return 0.0
        delays = (
            quota.delay_s(now, self._cost(kind, load), partial(self._busy, kind))
            for kind, quota in self._quotas.items()
        )
        return max(delays, default=0.0)

    def begin(self, now: float, load: Load) -> int:
        """Note that a call starts; return its number."""
        number = next(self._numbers)
        self._under_way[number] = now, load
        self._untold += 1
        for kind, quota in self._quotas.items():
            quota.take(self._cost(kind, load))
        return number

    def end(self, number: int) -> None:
        """Note that a call ended."""
        _, load = self._under_way.pop(number)
        if self._untold <= len(self._under_way):
            return
        self._untold -= 1
        for kind, quota in self._quotas.items():
            quota.lost(self._cost(kind, load))

    def refused(self) -> None:
        """Note that the provider refused a call."""
        for quota in self._quotas.values():
            quota.refused()

    def replied(self, output_tokens: int) -> None:
        """Learn how long replies usually are, on the long side."""
        drift = self._usual + 0.05 * (output_tokens - self._usual)
        self._usual = max(drift, float(output_tokens))

    def _cost(self, kind: str, load: Load) -> float:
        return _COSTS[kind](load, self._usual)

    def _busy(self, kind: str, since: float) -> float:
        return sum(
            self._cost(kind, load)
            for started, load in self._under_way.values()
            if started >= since
        )
