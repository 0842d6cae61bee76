"""What calls cost: the frozen `Usage` of one call, and the meter that adds them up.

The documented form (`UsageMeter.document`) is the OpenAI one::

    completion_tokens, prompt_tokens, total_tokens
    prompt_tokens_details:     cached_tokens, audio_tokens
    completion_tokens_details: reasoning_tokens, audio_tokens,
                               accepted_prediction_tokens, rejected_prediction_tokens
    cost:                      amount, currency
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

_TOP: Final = {
    "completion_tokens": "output_tokens",
    "prompt_tokens": "input_tokens",
    "total_tokens": "total_tokens",
}
_DETAILS: Final = {
    "prompt_tokens_details": {
        "cached_tokens": "cached_tokens",
        "audio_tokens": "input_audio_tokens",
    },
    "completion_tokens_details": {
        "reasoning_tokens": "reasoning_tokens",
        "audio_tokens": "output_audio_tokens",
        "accepted_prediction_tokens": "accepted_prediction_tokens",
        "rejected_prediction_tokens": "rejected_prediction_tokens",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What model calls have used; add two to total them."""

    input_tokens: int = 0
    """Prompt tokens, cached ones included."""

    output_tokens: int = 0
    """Generated tokens, reasoning included."""

    total_tokens: int = 0
    """As reported; the sum of the two above where nothing was reported."""

    cached_tokens: int = 0
    """Prompt tokens read from the provider's prompt cache."""

    cache_write_tokens: int = 0
    """Prompt tokens written to the provider's prompt cache."""

    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0

    cost_usd: Decimal = Decimal(0)
    """US dollars; 0 for local models and for models without a known price."""

    estimated: bool = False
    """Whether some of it was estimated, because a server reported nothing."""

    def __post_init__(self) -> None:
        if not self.total_tokens:
            total = self.input_tokens + self.output_tokens
            object.__setattr__(self, "total_tokens", total)

    def __add__(self, other: Usage) -> Usage:
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            input_audio_tokens=self.input_audio_tokens + other.input_audio_tokens,
            output_audio_tokens=self.output_audio_tokens + other.output_audio_tokens,
            accepted_prediction_tokens=self.accepted_prediction_tokens
            + other.accepted_prediction_tokens,
            rejected_prediction_tokens=self.rejected_prediction_tokens
            + other.rejected_prediction_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            estimated=self.estimated or other.estimated,
        )

    def priced(self, cost_usd: Decimal) -> Usage:
        """Return the same usage at another cost."""
        return self if cost_usd == self.cost_usd else replace(self, cost_usd=cost_usd)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Usage:
        """Read the documented form; None and absent are 0, unknown keys are ignored.

        The cost is not read: it follows from a price, or is restored on its own.
        """
        fields: dict[str, Any] = {
            name: _count(document.get(key)) for key, name in _TOP.items()
        }
        for group, names in _DETAILS.items():
            details = document.get(group) or {}
            for key, name in names.items():
                fields[name] = _count(details.get(key))
        return cls(**fields)

    def document(self) -> dict[str, Any]:
        """Return the documented form, as a fresh dict."""
        result: dict[str, Any] = {k: getattr(self, name) for k, name in _TOP.items()}
        for group, names in _DETAILS.items():
            result[group] = {key: getattr(self, name) for key, name in names.items()}
        result["cost"] = {"amount": float(self.cost_usd), "currency": "USD"}
        return result


def _count(value: Any) -> int:
    return int(value or 0)


@dataclass(slots=True)
class _Tally:
    """Running numbers of one (role, model)."""

    usage: Usage
    calls: int = 0
    cached_calls: int = 0
    failed_calls: int = 0
    estimated_calls: int = 0
    running: int = 0
    """Calls in flight now."""
    since: float = 0.0
    """When the first of them started."""
    seconds: float = 0.0

    def document(self, now: float) -> dict[str, Any]:
        under_way = now - self.since if self.running else 0.0
        return {
            **self.usage.document(),
            "calls": self.calls,
            "cached_calls": self.cached_calls,
            "failed_calls": self.failed_calls,
            "estimated_calls": self.estimated_calls,
            "seconds": self.seconds + under_way,
        }


class UsageMeter:
    """Adds usage up, in total and by role and model. Safe to use from any thread.

    Args:
        clock: Tells seconds; injected by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._total = Usage()
        self._tallies: dict[tuple[str, str], _Tally] = {}

    def add(self, usage: Usage, *, role: str, model: str | None) -> None:
        """Count one paid call."""
        with self._lock:
            self._total += usage
            tally = self._tally(role, model)
            tally.usage += usage
            tally.calls += 1
            tally.estimated_calls += usage.estimated

    @contextmanager
    def busy(self, *, role: str, model: str | None) -> Iterator[None]:
        """Count the time inside, once however many calls are in flight."""
        with self._lock:
            tally = self._tally(role, model)
            if not tally.running:
                tally.since = self._clock()
            tally.running += 1
        try:
            yield
        finally:
            with self._lock:
                tally.running -= 1
                if not tally.running:
                    tally.seconds += self._clock() - tally.since

    def add_cached(self, *, role: str, model: str | None) -> None:
        """Count one call that a cache answered."""
        with self._lock:
            self._tally(role, model).cached_calls += 1

    def add_failed(self, *, role: str, model: str | None) -> None:
        """Count one call that failed for good."""
        with self._lock:
            self._tally(role, model).failed_calls += 1

    def adjust(self, usage: Usage, cost_usd: Decimal | None = None) -> None:
        """Add to the total only; ``cost_usd``, if given, replaces the total cost."""
        with self._lock:
            self._total += usage
            if cost_usd is not None:
                self._total = self._total.priced(cost_usd)

    def clear(self) -> None:
        """Set every number to zero."""
        with self._lock:
            self._total = Usage()
            self._tallies = {}

    @property
    def total(self) -> Usage:
        """Everything so far."""
        return self._total

    def by_role(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return ``{role: {model: documented usage + call counts}}``, fresh."""
        result: dict[str, dict[str, dict[str, Any]]] = {}
        with self._lock:
            now = self._clock()
            for (role, model), tally in sorted(self._tallies.items()):
                result.setdefault(role, {})[model] = tally.document(now)
        return result

    def _tally(self, role: str, model: str | None) -> _Tally:
        key = (role, model or "")
        if (tally := self._tallies.get(key)) is None:
            tally = self._tallies[key] = _Tally(Usage())
        return tally
