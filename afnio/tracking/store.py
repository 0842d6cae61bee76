"""Runs on disk: names, atomic JSON files, and event logs that survive a kill.

A run is a directory ``<root>/<project>/<run>/`` with ``run.json``, written whole and in
one step, and ``events.jsonl``, one JSON object per line, only ever appended to.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from afnio._files import write_atomic
from afnio._text import shorten
from afnio.errors import FileFormatError, InputTypeError

RUN_FILE: Final = "run.json"
EVENTS_FILE: Final = "events.jsonl"
_NAME_BYTES: Final = 100
"""File systems take 255 bytes; a name in other letters than a-z has several each."""


def runs_root() -> Path:
    """Return where runs are kept: ``AFNIO_RUNS``, or ``runs`` in the work directory."""
    return Path(os.environ.get("AFNIO_RUNS") or "runs")


def slug(text: str) -> str:
    """Return ``text`` in lower case, with words joined by dashes.

    Examples:
        >>> slug("Test Project!")
        'test-project'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _cut(re.sub(r"[\W_]+", "-", folded).strip("-"))


def file_name(name: str) -> str:
    """Return ``name`` without anything that a path could trip over."""
    clean = re.sub(r"[^\w. -]+", "-", unicodedata.normalize("NFKC", name))
    return _cut(clean.strip(". ")).strip(". ") or "run"


def distinct_file_name(name: str) -> str:
    """Return `file_name`, with a digest of ``name`` where that has changed it.

    Names that differ get file names that differ.
    """
    clean = file_name(name)
    if clean == name:
        return clean
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{clean}-{digest[:8]}"


def _cut(name: str) -> str:
    """Shorten a name to what every file system takes, with room for a suffix."""
    return name.encode()[:_NAME_BYTES].decode("utf-8", "ignore")


def claim(parent: Path, name: str) -> tuple[Path, str]:
    """Make a directory for ``name``; add ``_1``, ``_2``, … while the name is taken.

    Processes that claim the same name at once get different directories.

    Returns:
        The directory, and the name with what was added.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for number in count():
        suffix = f"_{number}" if number else ""
        path = parent / f"{file_name(name)}{suffix}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path, f"{name}{suffix}"
    raise AssertionError  # pragma: no cover - count() does not end


def save_prompt(folder: Path, name: str, value: Any) -> None:
    """Keep a prompt in ``folder``: its first value, and its latest, as text.

    Args:
        folder: The prompts of a run.
        name: What the parameter is called.
        value: Its text; anything else is written as JSON.
    """
    own = folder / distinct_file_name(name)
    own.mkdir(parents=True, exist_ok=True)
    if not isinstance(value, str):
        value = json.dumps(value, indent=1, ensure_ascii=False)
    payload = value.encode("utf-8", "backslashreplace")
    for file in (own / "initial.txt", own / "last.txt"):
        if file.name == "last.txt" or not file.exists():
            file.write_bytes(payload)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replace ``path`` by ``data`` in one step: readers see the old or the new file.

    Half a surrogate pair, which UTF-8 cannot hold, becomes a JSON escape.
    """
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that `write_json` wrote.

    Raises:
        FileFormatError: The file is damaged.
    """
    try:
        data = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is not JSON: {shorten(error)}.") from error
    if not isinstance(data, dict):
        raise FileFormatError(
            f"{path} holds {type(data).__name__}; expected an object."
        )
    return data


def json_line(event: Mapping[str, Any]) -> bytes:
    """Return ``event`` as one line; numbers that JSON lacks become text.

    Raises:
        InputTypeError: A value has no JSON form.
    """
    try:
        text = json.dumps(_finite(event), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"an event must be JSON data: {shorten(error)}; got {shorten(event)}."
        ) from error
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


class EventLog:
    """An append-only file of JSON lines, written by one process at a time.

    Each event reaches the file in one write, so a kill can tear the last line only; the
    next writer starts a new line, and `read_events` skips the torn one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._whole = False

    def append(self, event: Mapping[str, Any]) -> None:
        """Write one event."""
        line = json_line(event)
        with self._lock, self.path.open("ab", buffering=0) as file:
            if not self._whole and not _ends_whole(self.path):
                line = b"\n" + line
            self._whole = file.write(line) == len(line)


def _ends_whole(path: Path) -> bool:
    """Whether the file is empty or ends with a complete line."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a log, oldest first; lines that are none are left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            with suppress(ValueError, RecursionError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event
