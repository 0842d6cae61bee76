"""Reading a run's directory, whether it is finished, being written, or crashed."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import FileFormatError
from afnio.tracking.store import EVENTS_FILE, RUN_FILE, read_events, read_json

FORMAT: Final = "afnio.run"
VERSION: Final = 1


def read_run(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a run's directory, also while it is written or after a crash.

    A run that says RUNNING though its process is gone from this machine is reported as
    CRASHED.

    Returns:
        The contents of ``run.json``, and the events, oldest first.

    Raises:
        FileFormatError: It is not a run that this afnio can read.
    """
    directory = Path(path)
    data = read_document(directory)
    if data.get("status") == "RUNNING" and is_gone(data):
        data["status"] = "CRASHED"
    return data, list(read_events(directory / EVENTS_FILE))


def read_document(directory: Path) -> dict[str, Any]:
    """Return the contents of ``run.json`` as they stand.

    Raises:
        FileFormatError: It is not a run that this afnio can read.
    """
    file = directory / RUN_FILE
    if not file.exists():
        raise FileFormatError(
            f"{shorten(directory)} is not a run: it has no {RUN_FILE}."
        )
    data = read_json(file)
    if data.get("format") != FORMAT or data.get("version", 0) > VERSION:
        raise FileFormatError(f"{file} is not a run file this afnio can read.")
    return data


def is_gone(data: Mapping[str, Any]) -> bool:
    """Whether the process that wrote a run has ended, as far as this machine knows."""
    if os.name != "posix" or data.get("host") != platform.node():
        return False
    try:
        os.kill(data.get("pid") or 0, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def last_steps(events: Path) -> dict[str, int]:
    """Return the last step of every metric that a log holds."""
    steps: dict[str, int] = {}
    for event in read_events(events):
        if event.get("type") == "metric":
            name, step = event["name"], event["step"]
            steps[name] = max(step, steps.get(name, step))
    return steps


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
