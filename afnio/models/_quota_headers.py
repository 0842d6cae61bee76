"""What providers say about their rate limits, in the headers of every answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

_FIELDS: Final = ("limit", "remaining", "reset")

_NAMES: Final = {
    **{
        f"x-ratelimit-{field}-{kind}".encode(): (kind, field)
        for kind in ("requests", "tokens")
        for field in _FIELDS
    },
    **{
        f"anthropic-ratelimit-{theirs}-{field}".encode(): (kind, field)
        for theirs, kind in (
            ("requests", "requests"),
            ("tokens", "used_tokens"),
            ("input-tokens", "input_tokens"),
            ("output-tokens", "output_tokens"),
        )
        for field in _FIELDS
    },
}
"""Header → what is counted, and what the header says of it."""

_DURATION: Final = re.compile(
    r"(?:(?P<d>\d{1,6})d)?(?:(?P<h>\d{1,6})h)?(?:(?P<m>\d{1,6})m(?!s))?"
    r"(?:(?P<s>\d{1,9}(?:\.\d{1,9})?)s)?(?:(?P<ms>\d{1,9}(?:\.\d{1,9})?)ms)?",
    re.ASCII,
)
_SECONDS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SECONDS_ONLY: Final = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,15}", re.ASCII)
_LONGEST: Final = 64
"""Characters of a header that is no garbage."""


@dataclass(frozen=True, slots=True)
class News:
    """What is left of one thing that a provider counts."""

    limit: int
    """All there is when nothing is used."""
    remaining: int
    """What is left of it."""
    reset_s: float
    """Seconds until all of it is back."""


def read_news(
    headers: Iterable[tuple[bytes, bytes]], clock: Callable[[], float] = time.time
) -> dict[str, News]:
    """Return what ``headers`` say, by what is counted; garbage says nothing.

    Args:
        headers: Names and values as they came.
        clock: Tells seconds since 1970, for an answer that carries no date.
    """
    found: dict[str, dict[str, str]] = {}
    date = b""
    for name, value in headers:
        lowered = name.lower()
        if lowered in _NAMES:
            kind, field = _NAMES[lowered]
            found.setdefault(kind, {})[field] = value.decode("latin-1").strip()
        elif lowered == b"date":
            date = value
    if not found:
        return {}
    now = _date_s(date.decode("latin-1"), clock)
    read = ((kind, _news(fields, now)) for kind, fields in found.items())
    return {kind: news for kind, news in read if news is not None}


def _news(fields: dict[str, str], now: float) -> News | None:
    limit, remaining = (
        int(text) if _NUMBER.fullmatch(text) else None
        for text in (fields.get("limit", ""), fields.get("remaining", ""))
    )
    reset_s = _reset_s(fields.get("reset", ""), now)
    if not limit or remaining is None or reset_s is None:
        return None
    return News(limit, min(limit, remaining), reset_s)


def _reset_s(text: str, now: float) -> float | None:
    """Read ``6m0s``, ``120ms``, ``1.5`` (seconds), or a time as RFC 3339 has it."""
    if not text or len(text) > _LONGEST:
        return None
    if _SECONDS_ONLY.fullmatch(text):
        return float(text)
    if match := _DURATION.fullmatch(text):
        parts = match.groupdict()
        return sum(float(parts[u]) * s for u, s in _SECONDS.items() if parts[u])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    rounded = 0.0 if moment.microsecond else 1.0
    return max(0.0, moment.timestamp() + rounded - now)


def _date_s(text: str, clock: Callable[[], float]) -> float:
    """Read the server's clock: ours may be wrong."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return clock()
