"""Reading values that were written by anybody: what is of the wrong kind is left out.

A run's directory may come from another version or another program, and a report must
not fail on it. Every function returns a value of its kind, or a stated default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from afnio._text import cut_middle

TEXT_LIMIT: Final = 20_000
"""Characters of one text that a report shows."""


def number(value: Any) -> float | None:
    """Return a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def count(value: Any, default: int = 0) -> int:
    """Return a whole number of 0 or more."""
    found = number(value)
    return default if found is None or found < 0 else int(found)


def text(value: Any, limit: int = TEXT_LIMIT) -> str:
    """Return any value as text, the middle of a long one cut; None is empty."""
    return "" if value is None else cut_middle(str(value), limit)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> Sequence[Any]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, (list, tuple)) else ()


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings in a list."""
    return [item for item in items(value) if isinstance(item, Mapping)]


def numbers(value: Any) -> tuple[float, ...]:
    """Return a list of numbers; an empty one if any item is something else."""
    found = tuple(map(number, items(value)))
    return () if None in found else found  # type: ignore[return-value]


def pair(value: Any) -> tuple[float, float] | None:
    """Return an interval, or None."""
    found = numbers(value)
    return (found[0], found[1]) if len(found) == 2 else None  # noqa: PLR2004 - a pair


def amounts(value: Any) -> dict[str, float]:
    """Return the numbers in a mapping, by name."""
    found = {text(key, 200): number(item) for key, item in mapping(value).items()}
    return {key: item for key, item in found.items() if item is not None}


def moment(value: Any) -> datetime | None:
    """Return a date and time, or None."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None
