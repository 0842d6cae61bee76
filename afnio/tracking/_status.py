"""How a run stands."""

from __future__ import annotations

from enum import StrEnum

from afnio._text import closest
from afnio.errors import InputValueError


class RunStatus(StrEnum):
    """How a run stands."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CRASHED = "CRASHED"
    FAILED = "FAILED"


def as_status(status: RunStatus | str) -> RunStatus:
    """Return the status of that name.

    Raises:
        InputValueError: There is none.
    """
    try:
        return RunStatus(status)
    except ValueError as error:
        known = [member.value for member in RunStatus]
        raise InputValueError(
            f"status is {status!r}; {closest(str(status), known)}"
        ) from error
