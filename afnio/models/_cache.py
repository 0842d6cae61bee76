"""Replies that were paid for once: a SQLite file of JSON values.

Reads run on the event loop: they come from memory or from one indexed row, and in WAL
mode no writer can block them. The file is opened in a thread, where a lock may hold it
up. Writes go to a thread that commits whatever has queued up
in one transaction; a reply is handed out only after it is on record, so a run killed at
any instant does not pay twice for what it has seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, get_args

from afnio._dispatch import in_thread
from afnio._home import Outcome, outcome_of
from afnio._warn import warn
from afnio.errors import (
    AfnioError,
    FileFormatError,
    InputTypeError,
    InputValueError,
    MissingFileError,
    ReplayMissError,
    StateError,
)
from afnio.models._cache_file import (
    damaged,
    open_for_reading,
    open_for_writing,
    unusable,
)
from afnio.models._cache_writer import Writer
from afnio.models._codec import decode_reply, encode_reply
from afnio.models._counts import SampleCounts
from afnio.models._keys import Key, differences, nearest
from afnio.models._loop_local import LoopLocal
from afnio.models._messages import Reply
from afnio.models._settings import Applied, Setting
from afnio.models._unicode import escaped

CacheMode = Literal["off", "read-write", "record", "replay"]

_SEARCHED: Final = 2000
"""Newest entries searched for the nearest one when a replay misses."""

_RECORD: Final = "mode='record' (afnio: --cache record)"

_SHOWN: Final = 6
"""Differences listed when a replay misses."""


class CacheWarning(UserWarning):
    """A cache could not keep a reply, which was handed out nevertheless."""


class ReplyCache:
    """Replies kept in a file, keyed by everything that can change the answer.

    Several threads and processes may use one file at a time. A reply that cannot be
    written, because the disk is full or the file locked, is handed out all the same: a
    `CacheWarning` says so once, and every further reply is tried again.

    Args:
        path: The file; made, with its directory, on first use.
        mode: ``"read-write"`` answers from the file and adds to it; ``"record"`` asks
            the model whatever the file has, once for each different call, so that a
            replay gives the same answers; ``"replay"`` never asks the model: a call
            that is not on file raises `ReplayMissError`; ``"off"`` does nothing.
        memory: Replies also kept in memory, the most recent ones.

    Raises:
        InputValueError: There is no such mode.
        InputTypeError: The path is no path.
        FileFormatError: The file is not a reply cache, or is damaged (on first use).
        StateError: The file cannot be used now (on first use).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: CacheMode = "read-write",
        *,
        memory: int = 4096,
    ) -> None:
        if mode not in get_args(CacheMode):
            known = ", ".join(map(repr, get_args(CacheMode)))
            raise InputValueError(f"no cache mode {mode!r}; expected one of {known}.")
        if not isinstance(path, (str, os.PathLike)):
            raise InputTypeError(
                f"path is {type(path).__name__}; expected the path of a file."
            )
        self.path = Path(path)
        self.mode: CacheMode = mode
        self.hits = 0
        self.misses = 0
        self._recorded: set[str] = set()
        self._recent: OrderedDict[str, Reply] = OrderedDict()
        self._memory = memory
        self._has_warned = False
        self._lock = threading.Lock()
        self._reader: tuple[int, sqlite3.Connection] | None = None
        self._inherited: tuple[int, sqlite3.Connection] | None = None
        self._writer: Writer | None = None
        self._openings: LoopLocal[list[asyncio.Task[Outcome[None]]]] = LoopLocal(list)

    def __repr__(self) -> str:
        return f"ReplyCache({str(self.path)!r}, mode={self.mode!r})"

    def __len__(self) -> int:
        with self._lock:
            row = self._connection().execute("SELECT count(*) FROM replies").fetchone()
        return int(row[0])

    def lookup(self, key: Key) -> Reply | None:
        """Return the reply on record that this mode answers with, if there is one.

        Raises:
            ReplayMissError: Replay is on and there is none.
        """
        if self.mode == "off":
            return None
        if self.mode == "record" and key.digest not in self._recorded:
            with self._lock:
                self._connection()  # refuses a foreign file before anything is paid
            return None
        with self._lock:
            reply = self._recent.get(key.digest) or self._read(key)
            if reply is not None:
                self._remember(key, reply)
                self.hits += 1
                return reply
            self.misses += 1
        if self.mode == "replay":
            raise self._miss(key)
        return None

    async def store(self, key: Key, reply: Reply) -> None:
        """Put ``reply`` on record, if this mode writes; return when it is.

        The reply is paid for, so a file that cannot be written leads to a warning only;
        the reply is then remembered as long as this object.
        """
        if self.mode not in ("read-write", "record"):
            return
        data = encode_reply(reply, keep_parsed=reply.text is None)
        text = json.dumps(data, ensure_ascii=False)
        try:
            await self._queue().put((key.digest, escaped(key.document), escaped(text)))
        except (FileFormatError, StateError, sqlite3.Error, OSError) as error:
            self._warn(error)
        with self._lock:
            self._recorded.add(key.digest)
            self._remember(key, decode_reply(data, cached=True))

    def close(self) -> None:
        """Close the file; it is opened again if it is used again."""
        with self._lock:
            if self._reader is not None and self._reader[0] == os.getpid():
                self._reader[1].close()
            self._reader = None
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _warn(self, error: Exception) -> None:
        """Say, once, that replies are not kept."""
        with self._lock:
            if self._has_warned:
                return
            self._has_warned = True
        if not isinstance(error, AfnioError):
            error = unusable(self.path, error)
        warn(
            f"replies are not kept, and will be paid for again in another run: {error}",
            CacheWarning,
        )

    def _remember(self, key: Key, reply: Reply) -> None:
        self._recent[key.digest] = reply
        self._recent.move_to_end(key.digest)
        while len(self._recent) > self._memory:
            self._recent.popitem(last=False)

    def _read(self, key: Key) -> Reply | None:
        try:
            row = (
                self._connection()
                .execute("SELECT reply FROM replies WHERE key = ?", (key.digest,))
                .fetchone()
            )
            return (
                None if row is None else decode_reply(json.loads(row[0]), cached=True)
            )
        except sqlite3.DatabaseError as error:
            raise unusable(self.path, error) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise damaged(self.path) from error

    def _miss(self, key: Key) -> ReplayMissError:
        closest = nearest(key.document, self._documents())
        if closest is None:
            return ReplayMissError(
                f"{self.path} holds no recording at all; record one with {_RECORD}."
            )
        found = differences(key.document, closest)
        more = f"\n    … and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return ReplayMissError(
            f"{self.path} has no recording of this call. The nearest one differs in:\n"
            + "\n".join(f"    {line}" for line in found[:_SHOWN])
            + f"{more}\n  fix: record again with {_RECORD}, or undo the change."
        )

    def _documents(self) -> Iterator[str]:
        with self._lock:
            rows = self._connection().execute(
                "SELECT request FROM replies ORDER BY rowid DESC LIMIT ?", (_SEARCHED,)
            )
            return iter([row[0] for row in rows])

    def _is_open(self) -> bool:
        return self._reader is not None and self._reader[0] == os.getpid()

    async def _opened(self) -> None:
        """Open the file off the event loop; another process may have locked it.

        Raises:
            AfnioError: It cannot be opened; all who waited for it are told.
        """
        if self._is_open():
            return
        if not (openings := self._openings.get()):
            opening = asyncio.ensure_future(outcome_of(in_thread(self._open)))
            opening.add_done_callback(lambda _: openings.clear())
            openings.append(opening)
        _, error = await asyncio.shield(openings[0])
        if error is not None:
            raise error

    def _open(self) -> None:
        with self._lock:
            self._connection()

    def _connection(self) -> sqlite3.Connection:
        """Return this process's reading connection; never one made before a fork."""
        if self._reader is None or self._reader[0] != os.getpid():
            self._inherited = self._reader  # kept: closing it would touch the file
            self._reader = (os.getpid(), _connect(self.path, self.mode))
        return self._reader[1]

    def _queue(self) -> Writer:
        with self._lock:
            if self._writer is None or self._writer.pid != os.getpid():
                self._connection()  # makes the file, or refuses a foreign one
                self._writer = Writer(self.path)
            return self._writer


def _connect(path: Path, mode: CacheMode) -> sqlite3.Connection:
    """Open ``path``, making it unless it is only to be replayed."""
    if mode != "replay":
        return open_for_writing(path)
    try:
        return open_for_reading(path)
    except MissingFileError as error:
        raise ReplayMissError(
            f"there is no recording at {path}; record one with {_RECORD}."
        ) from error


class _InForce(NamedTuple):
    """A cache as `use_cache` put it in force: questions are numbered anew each time."""

    cache: ReplyCache
    counts: SampleCounts


_cache: Final[Setting[_InForce | None]] = Setting("cache", None)


class AppliedCache:
    """A cache just put in force; ``with`` makes it local to a block."""

    def __init__(self, cache: ReplyCache | None) -> None:
        counts = SampleCounts(keeps_log=True)
        self._cache = cache
        self._applied: Applied[_InForce | None] = _cache.apply(
            None if cache is None else _InForce(cache, counts)
        )

    def __enter__(self) -> ReplyCache | None:
        self._applied.__enter__()
        return self._cache

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._applied.__exit__(kind, error, trace)


def use_cache(cache: ReplyCache | None) -> AppliedCache:
    """Answer calls from ``cache``: everywhere, or inside a ``with`` block only.

    Called on its own, it sets the process-wide default; ``None`` lifts it. Each time,
    operations number the repetitions of equal questions from 0 again: what was recorded
    is replayed in the same order, also in the same process.
    """
    return AppliedCache(cache)


def active_cache() -> ReplyCache | None:
    """Return the cache in force here, unless it is off."""
    here = _cache.get()
    return None if here is None or here.cache.mode == "off" else here.cache


def counts_in_force() -> SampleCounts | None:
    """Return how often questions were asked under the cache in force here."""
    here = _cache.get()
    return None if here is None else here.counts
