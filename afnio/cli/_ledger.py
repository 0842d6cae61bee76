"""What a run has spent of its budget, on record for when it is resumed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from afnio._text import shorten
from afnio.errors import FileFormatError

if TYPE_CHECKING:
    from afnio.models import Budget, CallEvent

FILE: Final = "spend.jsonl"
"""In the run's directory: one line for every call that was paid for."""

_RESUME: Final = "AFNIO_RESUME"


class Ledger:
    """Notes every paid call in the active run; calls before it has begun are kept."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []

    def __call__(self, event: CallEvent) -> None:
        """Note a call; a failed one counts, though nobody knows what it cost."""
        from afnio.tracking import get_active_run
        from afnio.tracking.store import EventLog

        if not event.attempts or event.cached:
            return
        used = event.usage
        line = {
            "role": event.role,
            "usd": str(used.cost_usd),
            "tokens": used.total_tokens,
        }
        self._waiting.append(line)
        if (run := get_active_run()) is not None:
            log = EventLog(run.path / FILE)
            while self._waiting:
                log.append(self._waiting[0])
                del self._waiting[0]


@contextmanager
def kept(budget: Budget) -> Iterator[None]:
    """Charge a resumed run's budget for what was spent before; note what is spent."""
    from afnio.models import observe

    if run := os.environ.get(_RESUME):
        budget.load_state_dict({"roles": spent_in(Path(run)), "seconds": 0.0})
    watching = observe(Ledger())
    try:
        yield
    finally:
        watching.remove()


def spent_in(run: Path) -> dict[str, dict[str, Any]]:
    """Return what a run has spent, by role, as a budget's state has it.

    Raises:
        FileFormatError: The file is damaged.
    """
    from afnio.tracking.store import read_events

    roles: dict[str, dict[str, Any]] = {}
    for line in read_events(run / FILE):
        try:
            _add(roles, line)
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise FileFormatError(
                f"{run / FILE} is damaged: {shorten(line)} is no call."
            ) from error
    return {role: {**sums, "usd": str(sums["usd"])} for role, sums in roles.items()}


def _add(roles: dict[str, dict[str, Any]], line: Mapping[str, Any]) -> None:
    sums = roles.setdefault(str(line["role"]), {"usd": Decimal(0), "tokens": 0})
    sums["usd"] += Decimal(line["usd"])
    sums["tokens"] += int(line["tokens"])
    sums["calls"] = sums.get("calls", 0) + 1
