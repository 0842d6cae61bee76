"""Batches that were submitted, in a SQLite file: what a restart must not pay again.

The file holds digests of questions, the provider's names of batches, and replies; no
question and no key.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from afnio.errors import FileFormatError
from afnio.models import _sqlite
from afnio.models._codec import decode_reply, encode_reply
from afnio.models._messages import Reply
from afnio.models._usage import Usage

_APPLICATION_ID: Final = 0x61666261  # "afba"
_JOBS: Final = """CREATE TABLE jobs (
    token TEXT PRIMARY KEY, endpoint TEXT NOT NULL, job TEXT, created REAL NOT NULL)"""
_ITEMS: Final = """CREATE TABLE items (
    digest TEXT PRIMARY KEY, token TEXT NOT NULL, item TEXT NOT NULL, reply TEXT,
    delivered INTEGER NOT NULL DEFAULT 0)"""
_SCHEMA: Final = (_JOBS, _ITEMS, f"PRAGMA application_id = {_APPLICATION_ID}")
_NEW_JOB: Final = "INSERT OR REPLACE INTO jobs VALUES (?, ?, NULL, ?)"
_NEW_ITEM: Final = "INSERT OR REPLACE INTO items (digest, token, item) VALUES (?, ?, ?)"
_ANSWERED: Final = "UPDATE items SET reply = ?, delivered = ? WHERE digest = ?"
_FORGET_ITEMS: Final = "DELETE FROM items WHERE token = ? AND reply IS NULL"


@dataclass(frozen=True, slots=True)
class Job:
    """A batch as it is on file."""

    token: str
    """Our name for it."""
    job: str | None
    """The provider's name; None if we died before it answered."""
    created: float
    """Seconds since the epoch."""
    items: Mapping[str, str]
    """Digest → name of the item, for those without a reply."""


class BatchStore:
    """What is known of batches, on file; safe to use from any thread.

    Args:
        path: The file; made, with its directory, on first use.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._open: tuple[int, sqlite3.Connection] | None = None

    def find(self, digest: str) -> Reply | Job | None:
        """Return the reply to a question, or the batch that it is part of.

        A reply that was handed out before has cost nothing this time.

        Raises:
            FileFormatError: The file is not one of ours, or is damaged.
        """
        with self._lock:
            row = self._read(
                "SELECT token, reply, delivered FROM items WHERE digest = ?", digest
            )
            if not row:
                return None
            token, reply, delivered = row[0]
            if reply is None:
                return self._job(token)
            return _decoded(reply, delivered=bool(delivered))

    def deliver(self, digests: Collection[str]) -> None:
        """Note that replies were handed out, so that they are counted once."""
        rows = [(digest,) for digest in digests]
        with self._lock:
            self._write([("UPDATE items SET delivered = 1 WHERE digest = ?", rows)])

    def begin(self, token: str, endpoint: str, items: Mapping[str, str]) -> None:
        """Note that a batch is about to be submitted."""
        job = (token, endpoint, time.time())
        rows = [(digest, token, item) for digest, item in items.items()]
        with self._lock:
            self._write([(_NEW_JOB, [job]), (_NEW_ITEM, rows)])

    def submitted(self, token: str, job: str) -> None:
        """Note what the provider calls a batch."""
        with self._lock:
            self._write([("UPDATE jobs SET job = ? WHERE token = ?", [(job, token)])])

    def finish(
        self,
        token: str,
        replies: Mapping[str, Reply],
        *,
        delivered: Collection[str] = (),
    ) -> None:
        """Keep the replies of a batch, by digest; forget the rest of it.

        Args:
            token: Our name for the batch.
            replies: What it answered.
            delivered: Those of them that are handed out, and counted, now.
        """
        rows = [
            (json.dumps(encode_reply(reply)), digest in delivered, digest)
            for digest, reply in replies.items()
        ]
        with self._lock:
            self._write(
                [
                    (_ANSWERED, rows),
                    (_FORGET_ITEMS, [(token,)]),
                    ("DELETE FROM jobs WHERE token = ?", [(token,)]),
                ]
            )

    def known_jobs(self) -> set[str]:
        """Return the provider's names of all batches under way."""
        with self._lock:
            return {row[0] for row in self._read("SELECT job FROM jobs") if row[0]}

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        with self._lock:
            if self._open is not None:
                self._open[1].close()
                self._open = None

    def _job(self, token: str) -> Job | None:
        found = self._read("SELECT job, created FROM jobs WHERE token = ?", token)
        if not found:
            return None
        items = self._read(
            "SELECT digest, item FROM items WHERE token = ? AND reply IS NULL", token
        )
        return Job(token, found[0][0], found[0][1], dict(items))

    def _read(self, sql: str, *values: Any) -> list[Any]:
        try:
            return self._connection().execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path) from error

    def _write(self, statements: list[tuple[str, list[tuple[Any, ...]]]]) -> None:
        connection = self._connection()
        try:
            with connection:
                for sql, rows in statements:
                    connection.executemany(sql, rows)
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path) from error

    def _connection(self) -> sqlite3.Connection:
        """Return this process's connection; a forked child opens its own."""
        if self._open is None or self._open[0] != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = _sqlite.connect(self.path)
            try:
                _prepare(connection, self.path)
            except sqlite3.DatabaseError as error:
                connection.close()
                raise _damaged(self.path) from error
            except FileFormatError:
                connection.close()
                raise
            self._open = (os.getpid(), connection)
        return self._open[1]


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")  # another process may be first
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    if mark != _APPLICATION_ID and (mark or tables):
        raise FileFormatError(
            f"{path} is a SQLite file, but holds no batches; choose another path."
        )
    if not mark:
        for statement in _SCHEMA:
            connection.execute(statement)
    connection.commit()


def _damaged(path: Path) -> FileFormatError:
    return FileFormatError(
        f"{path} does not hold batches, is damaged or cannot be written; move it away. "
        "Batches that it named are then paid for again."
    )


def _decoded(text: str, *, delivered: bool) -> Reply:
    reply = replace(decode_reply(json.loads(text), cached=False), batched=True)
    return replace(reply, usage=Usage(), cached=True) if delivered else reply
