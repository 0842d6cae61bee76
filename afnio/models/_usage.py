"""What calls cost: the frozen `Usage` of one call, and the meter that adds them up.

The documented form (`UsageMeter.document`) is the OpenAI one:

    completion_tokens, prompt_tokens, total_tokens
    prompt_tokens_details:     cached_tokens, audio_tokens
    completion_tokens_details: reasoning_tokens, audio_tokens,
                               accepted_prediction_tokens, rejected_prediction_tokens
    cost:                      amount, currency
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from operator import add, attrgetter
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import InputValueError

_MOST: Final = 10**12
"""Tokens beyond which no report is believed."""

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

        Raises:
            InputValueError: A number is none, or below 0.
        """
        fields: dict[str, Any] = {
            name: count(document.get(key)) for key, name in _TOP.items()
        }
        for group, names in _DETAILS.items():
            details = document.get(group) or {}
            for key, name in names.items():
                fields[name] = count(details.get(key))
        return cls(**fields)

    @classmethod
    def reported(cls, document: Any) -> Usage:
        """Read what a server reports; nonsense counts as if nothing was reported."""
        try:
            return cls.from_document(document or {})
        except (InputValueError, AttributeError):
            return cls()

    @property
    def is_plausible(self) -> bool:
        """Whether no number is below 0."""
        return bool(min(_numbers(self)) >= 0)

    def document(self) -> dict[str, Any]:
        """Return the documented form, as a fresh dict."""
        result: dict[str, Any] = {k: getattr(self, name) for k, name in _TOP.items()}
        for group, names in _DETAILS.items():
            result[group] = {key: getattr(self, name) for key, name in names.items()}
        result["cost"] = {"amount": float(self.cost_usd), "currency": "USD"}
        return result


def count(value: Any) -> int:
    """Return a number of tokens; None is 0.

    Raises:
        InputValueError: It is no whole number from 0 to 10 ** 12.
    """
    if value is None:
        return 0
    if isinstance(value, (int, float)) and 0 <= value <= _MOST and value == int(value):
        return int(value)
    raise InputValueError(
        f"{shorten(repr(value))} is no number of tokens; expected an int, 0 or more."
    )


_NAMES: Final = tuple(field.name for field in fields(Usage))
_numbers: Final = attrgetter(*_NAMES)


class _Totals:
    """Running totals of usage: one call must cost next to nothing here."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: tuple[Any, ...] = _numbers(Usage())

    def add(self, usage: Usage) -> None:
        self._sums = tuple(map(add, self._sums, _numbers(usage)))

    def usage(self) -> Usage:
        sums = dict(zip(_NAMES, self._sums, strict=True))
        return Usage(**{**sums, "estimated": bool(sums["estimated"])})

    def set_cost(self, cost_usd: Decimal) -> None:
        self._sums = _numbers(self.usage().priced(cost_usd))


class _Tally:
    """Running numbers of one (role, model)."""

    __slots__ = (
        "cached_calls",
        "calls",
        "estimated_calls",
        "failed_calls",
        "running",
        "seconds",
        "since",
        "totals",
    )

    def __init__(self) -> None:
        self.totals = _Totals()
        self.calls = 0
        self.cached_calls = 0
        self.failed_calls = 0
        self.estimated_calls = 0
        self.running = 0
        self.since = 0.0  # when the first of the running calls started
        self.seconds = 0.0

    def document(self, now: float) -> dict[str, Any]:
        under_way = now - self.since if self.running else 0.0
        return {
            **self.totals.usage().document(),
            "calls": self.calls,
            "cached_calls": self.cached_calls,
            "failed_calls": self.failed_calls,
            "estimated_calls": self.estimated_calls,
            "running_calls": self.running,
            "seconds": self.seconds + under_way,
        }


class Count:
    """One call under way, as its meter counts it; `end` must follow."""

    __slots__ = ("_has_failed", "_meter", "_model", "_role", "_tally")

    def __init__(
        self, meter: UsageMeter, tally: _Tally, role: str, model: str | None
    ) -> None:
        self._meter = meter
        self._tally = tally
        self._role = role
        self._model = model
        self._has_failed = False

    def failed(self) -> None:
        """Say that the call failed for good."""
        self._has_failed = True

    def end(self, usage: Usage | None) -> None:
        """Stop the clock, which runs once however many calls are under way.

        Args:
            usage: What the call cost, a failed one included; None if nothing.
        """
        meter = self._meter
        with meter._lock:
            meter._leave(self._tally)
            if usage is None and not self._has_failed:
                return
            tally = meter._tally(self._role, self._model)
            tally.failed_calls += self._has_failed
            if usage is not None:
                meter._totals.add(usage)
                tally.totals.add(usage)
                tally.calls += not self._has_failed
                tally.estimated_calls += usage.estimated


class UsageMeter:
    """Adds usage up, in total and by role and model. Safe to use from any thread.

    Args:
        clock: Tells seconds; injected by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._totals = _Totals()
        self._tallies: dict[tuple[str, str], _Tally] = {}

    def begin(self, *, role: str, model: str | None) -> Count:
        """Count a call that starts."""
        with self._lock:
            tally = self._tally(role, model)
            if not tally.running:
                tally.since = self._clock()
            tally.running += 1
        return Count(self, tally, role, model)

    def _leave(self, tally: _Tally) -> None:
        tally.running -= 1
        if not tally.running:
            tally.seconds += self._clock() - tally.since

    def add_cached(self, *, role: str, model: str | None) -> None:
        """Count one call that a cache answered."""
        with self._lock:
            self._tally(role, model).cached_calls += 1

    def adjust(self, usage: Usage, cost_usd: Decimal | None = None) -> None:
        """Add to the total only; ``cost_usd``, if given, replaces the total cost."""
        with self._lock:
            self._totals.add(usage)
            if cost_usd is not None:
                self._totals.set_cost(cost_usd)

    def clear(self) -> None:
        """Set every number to zero."""
        with self._lock:
            self._totals = _Totals()
            self._tallies = {}

    @property
    def total(self) -> Usage:
        """Everything so far."""
        with self._lock:
            return self._totals.usage()

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
            tally = self._tallies[key] = _Tally()
        return tally
