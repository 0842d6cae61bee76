"""The file of a reply cache: how it is made, recognized and brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from afnio.errors import AfnioError, FileFormatError, MissingFileError, StateError
from afnio.models import _sqlite

_APPLICATION_ID: Final = 0x41464E43  # "AFNC"
_VERSION: Final = 2
_PRIMARY: Final = 0xFF
"""The part of SQLite's extended error codes that tells the kind."""

_SCHEMA: Final = (
    """CREATE TABLE replies
       (key TEXT PRIMARY KEY, request TEXT, reply TEXT, stored_at REAL)""",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)
_UPDATE: Final = (
    "ALTER TABLE replies ADD COLUMN stored_at REAL",  # version 1 told no times
    f"PRAGMA user_version = {_VERSION}",
)

INSERT: Final = "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)"
"""Key, request, reply, and when it was stored: seconds since 1970."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open ``path``, making it if need be, and bring it up to date.

    Raises:
        FileFormatError: It is no reply cache, is damaged, or of a newer version.
        StateError: It cannot be used now: locked, on a full disk, ….
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    connection = _connect(path, str(path))
    with _refusing(connection, path):
        _prepare(connection, path)
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a cache that exists, changing nothing.

    Raises:
        MissingFileError: There is no such file.
        FileFormatError: It is no reply cache, is damaged, or of a newer version.
        StateError: It cannot be used now: locked, unreadable, ….
    """
    if not path.exists():
        raise MissingFileError(f"there is no reply cache at {path}.")
    connection = _connect(path, f"{path.absolute().as_uri()}?mode=ro", uri=True)
    with _refusing(connection, path):
        if not _version(connection, path):
            raise damaged(path)
    return connection


def _connect(path: Path, address: str, *, uri: bool = False) -> sqlite3.Connection:
    try:
        return _sqlite.connect(address, uri=uri)
    except sqlite3.OperationalError as error:
        raise unusable(path, error) from error


@contextmanager
def _refusing(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Close ``connection`` if the file turns out not to be a cache of ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        connection.close()
        raise unusable(path, error) from error
    except FileFormatError:
        connection.close()
        raise


def column_of_times(connection: sqlite3.Connection) -> str:
    """Return the SQL for when a reply was stored; NULL where nobody noted it."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return "stored_at" if version >= _VERSION else "NULL"


def unusable(path: Path, error: Exception) -> AfnioError:
    """Return the error for a file that SQLite or the system complains of.

    Only what SQLite finds damaged is called so: a file that is locked, or on a full
    disk, is in order.
    """
    if isinstance(error, sqlite3.OperationalError) and not path.is_dir():
        code = getattr(error, "sqlite_errorcode", None)
        if code is None or code & _PRIMARY != sqlite3.SQLITE_ERROR:
            return _out_of_use(path, error)
    return _out_of_use(path, error) if isinstance(error, OSError) else damaged(path)


def _out_of_use(path: Path, error: Exception) -> StateError:
    return StateError(
        f"{path} cannot be used now: {error}. What is in the file stands; free the "
        "disk, the lock or the path, and go on."
    )


def damaged(path: Path) -> FileFormatError:
    """Return the error for a file that cannot be read."""
    return FileFormatError(
        f"{path} is not a reply cache, or is damaged; move it away and record again."
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection, path) != _VERSION:
        connection.execute("BEGIN IMMEDIATE")  # another process may be first
        found = _version(connection, path)
        steps = {0: _SCHEMA, _VERSION: ()}.get(found, _UPDATE)
        for statement in steps:
            connection.execute(statement)
        connection.commit()
        with suppress(sqlite3.OperationalError):  # the other process is setting it
            connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a reply cache, 0 for an empty file; refuse all else."""
    # in this order: whoever sees the table of a concurrent maker also sees its mark
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if mark != _APPLICATION_ID and (mark or tables):
        raise FileFormatError(
            f"{path} is a SQLite file, but not a reply cache; choose another path."
        )
    if version > _VERSION:
        raise FileFormatError(
            f"{path} was written by a newer afnio (format {version}, this one reads "
            f"{_VERSION}); update afnio or choose another path."
        )
    return int(version) if mark == _APPLICATION_ID else 0
