"""Looking into a reply cache from outside: what it holds, pruning, exporting.

Everything here reads the file alone; no model is asked and no run needs to stop.
Requests stand in the file without keys: header values are digests there.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, NamedTuple

from afnio._files import write_atomic
from afnio._text import shorten
from afnio.errors import InputValueError
from afnio.models._cache_file import (
    column_of_times,
    damaged,
    open_for_reading,
    open_for_writing,
)
from afnio.models._keys import leaves

_PREVIEW: Final = 120
"""Characters of a prompt or a reply in a listing."""

_SHORT_WAIT_MS: Final = 1000
"""Waited for programs that use the file, before its free space is left in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a reply cache holds, in figures."""

    path: Path
    entries: int
    bytes: int
    """Size on disk, pending writes included."""
    models: Mapping[str, int]
    """Model → entries."""
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    """What the replies cost when they were paid for; what each full reuse saves."""
    oldest_s: float | None
    """When the first entry was stored, in seconds since 1970; None if unknown."""
    newest_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One call on record."""

    key: str
    """Its digest: part of it suffices to name the entry."""
    model: str
    stored_at_s: float | None
    """Seconds since 1970; None for entries of an older format."""
    bytes: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    request: Mapping[str, Any] = field(repr=False)
    """Client, messages, arguments and sample index; never a key."""
    reply: Mapping[str, Any] = field(repr=False)

    @property
    def prompt(self) -> str:
        """The last message, shortened to one line."""
        messages = self.request.get("messages") or [{}]
        return _preview(messages[-1].get("content"))

    @property
    def answer(self) -> str:
        """The reply, shortened to one line."""
        reply = self.reply
        said = reply.get("text") or reply.get("refusal") or reply.get("tool_calls")
        return _preview(said)

    def document(self) -> dict[str, Any]:
        """Return the entry as JSON data."""
        return {
            "key": self.key,
            "model": self.model,
            "stored_at": self.stored_at_s,
            "request": dict(self.request),
            "reply": dict(self.reply),
        }


class _Row(NamedTuple):
    key: str
    request: str
    reply: str
    stored_at: float | None


def summarize(path: str | os.PathLike[str]) -> CacheInfo:
    """Return figures on the cache at ``path``.

    Raises:
        MissingFileError: There is no such file.
        FileFormatError: It is not a reply cache, or is damaged.
    """
    found = list(_read(Path(path)))
    times = [entry.stored_at_s for entry in found if entry.stored_at_s is not None]
    return CacheInfo(
        path=Path(path),
        entries=len(found),
        bytes=_size(Path(path)),
        models=dict(Counter(entry.model for entry in found).most_common()),
        input_tokens=sum(entry.input_tokens for entry in found),
        output_tokens=sum(entry.output_tokens for entry in found),
        cost_usd=sum((entry.cost_usd for entry in found), Decimal(0)),
        oldest_s=min(times, default=None),
        newest_s=max(times, default=None),
    )


def entries(
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    contains: str | None = None,
    key: str | None = None,
    limit: int | None = None,
) -> list[CacheEntry]:
    """Return entries, the newest first.

    Args:
        path: The cache.
        model: Of this model only.
        contains: With this text in a message or in the reply, whatever the case.
        key: With a key that begins so.
        limit: At most so many.

    Raises:
        MissingFileError: There is no such file.
        FileFormatError: It is not a reply cache, or is damaged.
    """
    _check("limit", limit)
    found: list[CacheEntry] = []
    for entry in _read(Path(path)):
        if limit is not None and len(found) == limit:
            break
        if (
            (model is None or entry.model == model)
            and (key is None or entry.key.startswith(key))
            and (contains is None or _mentions(entry, contains.casefold()))
        ):
            found.append(entry)
    return found


def prune(
    path: str | os.PathLike[str],
    *,
    older_than_s: float | None = None,
    model: str | None = None,
    max_bytes: int | None = None,
    dry_run: bool = False,
) -> int:
    """Delete entries and give their space back; return how many.

    An entry goes if it matches both ``older_than_s`` and ``model``, as far as they are
    given. Then the oldest go until the rest is no larger than ``max_bytes``.

    Args:
        path: The cache.
        older_than_s: Stored more than so many seconds ago, or at a time unknown.
        model: Of this model.
        max_bytes: Largest total size of requests and replies, in bytes.
        dry_run: Only count.

    Raises:
        InputValueError: Nothing says what to delete, or a number is negative.
        MissingFileError: There is no such file.
        FileFormatError: It is not a reply cache, or is damaged.
    """
    if older_than_s is None and model is None and max_bytes is None:
        raise InputValueError(
            "prune() needs to know what to delete: older_than_s, model or max_bytes."
        )
    _check("older_than_s", older_than_s)
    _check("max_bytes", max_bytes)
    gone = _doomed(list(_read(Path(path))), older_than_s, model, max_bytes)
    if gone and not dry_run:
        _delete(Path(path), gone)
    return len(gone)


def export_jsonl(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> int:
    """Write entries to ``out`` as lines of JSON, the oldest first; return how many.

    A line has ``key``, ``model``, ``stored_at`` (seconds since 1970), ``request`` and
    ``reply``.

    Raises:
        MissingFileError: There is no such cache.
        FileFormatError: It is not a reply cache, or is damaged.
    """
    lines = [
        json.dumps(entry.document(), ensure_ascii=False) + "\n"
        for entry in _read(Path(path))
    ]
    text = "".join(reversed(lines))
    write_atomic(out, text.encode("utf-8", "backslashreplace"))
    return len(lines)


def _read(path: Path) -> Iterator[CacheEntry]:
    """Yield every entry, the newest first."""
    with closing(open_for_reading(path)) as connection, _guarded(path):
        times = column_of_times(connection)
        rows = connection.execute(
            f"SELECT key, request, reply, {times} FROM replies ORDER BY rowid DESC"  # noqa: S608 - one of two constants
        )
        for row in rows:
            yield _entry(_Row(*row))


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """Turn what a damaged file leads to into one clear error."""
    try:
        yield
    except (
        sqlite3.DatabaseError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        InvalidOperation,
    ) as error:
        raise damaged(path) from error


def _model_of(request: Mapping[str, Any], reply: Mapping[str, Any]) -> str:
    """Return the model's name; of a client that has none, what the client is called."""
    asked = request["args"].get("model") or reply["model"]
    client = request.get("client")
    about = client if isinstance(client, Mapping) else {}
    named = (about.get(field) for field in ("model", "name", "client", "provider"))
    return str(asked or next(filter(None, named), "unknown"))


def _entry(row: _Row) -> CacheEntry:
    request, reply = json.loads(row.request), json.loads(row.reply)
    usage = reply["usage"]
    return CacheEntry(
        key=row.key,
        model=_model_of(request, reply),
        stored_at_s=row.stored_at,
        bytes=len(row.request.encode("utf-8", "surrogatepass"))
        + len(row.reply.encode("utf-8", "surrogatepass")),
        input_tokens=int(usage.get("input_tokens", 0)),
        output_tokens=int(usage.get("output_tokens", 0)),
        cost_usd=Decimal(reply["cost_usd"]),
        request=request,
        reply=reply,
    )


def _doomed(
    found: list[CacheEntry],
    older_than_s: float | None,
    model: str | None,
    max_bytes: int | None,
) -> list[str]:
    """Return the keys to delete, of entries that come newest first."""
    gone, room = [], float("inf") if max_bytes is None else max_bytes
    before = None if older_than_s is None else time.time() - older_than_s
    selects = older_than_s is not None or model is not None
    for entry in found:
        is_old = before is None or (entry.stored_at_s or 0.0) < before
        if selects and is_old and model in (None, entry.model):
            gone.append(entry.key)
            continue
        room -= entry.bytes
        if room < 0:
            gone.append(entry.key)
    return gone


def _delete(path: Path, keys: list[str]) -> None:
    with closing(open_for_writing(path)) as connection, _guarded(path):
        with connection:
            connection.executemany(
                "DELETE FROM replies WHERE key = ?", [(key,) for key in keys]
            )
        with suppress(sqlite3.OperationalError):  # in use: the space is reused later
            connection.execute(f"PRAGMA busy_timeout = {_SHORT_WAIT_MS}")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _mentions(entry: CacheEntry, text: str) -> bool:
    shown = [entry.request.get("messages"), entry.reply]
    return any(text in str(leaf).casefold() for leaf in leaves(shown).values())


def _preview(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shorten(text, _PREVIEW)


def _size(path: Path) -> int:
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _check(name: str, value: float | None) -> None:
    if value is not None and value < 0:
        raise InputValueError(f"{name} is {value}; expected 0 or more.")
