"""What was started in the last minute, for limits that users set."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from afnio.models._limits import Limits

_MINUTE_S: Final = 60.0


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
