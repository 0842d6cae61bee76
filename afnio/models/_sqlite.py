"""Connections to SQLite files that close themselves."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

_BUSY_S: Final = 30.0
"""How long to wait for other processes that write."""


class _Connection(sqlite3.Connection):
    """Closes with its last reference, as files do; but not what a fork has inherited.

    SQLite forbids that a child touches its parent's connections.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._pid = os.getpid()
        super().__init__(*args, **kwargs)

    def __del__(self, getpid: Any = os.getpid) -> None:
        if self._pid == getpid():
            with suppress(sqlite3.Error):
                self.close()


def connect(address: str | Path, *, uri: bool = False) -> sqlite3.Connection:
    """Open a file, to be used by any thread, one at a time."""
    return sqlite3.connect(
        address,
        uri=uri,
        timeout=_BUSY_S,
        check_same_thread=False,
        factory=_Connection,
    )
