"""How many model calls an optimizer has made, by role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from afnio.models import Budget

_NO_LIMIT: Final = 10**15


class Ledger:
    """Counts model calls; cached replies are not counted."""

    def __init__(self, calls: Mapping[str, int] | None = None) -> None:
        self.calls: dict[str, int] = dict(calls or {})

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count every call made inside, also if the work fails: it was made."""
        meter = Budget(calls=_NO_LIMIT)
        try:
            with meter:
                yield
        finally:
            for role, spent in meter.spent_by_role.items():
                count = self.calls.get(role, 0) + spent["calls"]
                if count:
                    self.calls[role] = count
