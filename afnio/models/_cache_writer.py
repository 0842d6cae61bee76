"""The thread that writes a reply cache."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from afnio._dispatch import Deferred
from afnio.models._cache_file import INSERT, open_for_writing

_IDLE_S: Final = 5.0


class Writer:
    """A thread that commits queued rows, all that are there in one transaction."""

    def __init__(self, path: Path) -> None:
        self.pid = os.getpid()
        self._path = path
        self._rows: queue.SimpleQueue[
            tuple[tuple[str, str, str], Deferred[None]] | None
        ] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def put(self, row: tuple[str, str, str]) -> None:
        """Queue a row and wait until it is committed."""
        done: Deferred[None] = Deferred("a cache write")
        with self._lock:
            self._rows.put((row, done))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="afnio-cache", daemon=True
                )
                self._thread.start()
        await done

    def close(self) -> None:
        """Commit what is queued and end the thread."""
        with self._lock:
            thread = self._thread
            self._rows.put(None)
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        try:
            with closing(open_for_writing(self._path)) as connection:
                while (batch := self._batch()) is not None:
                    self._commit(connection, batch)
        except Exception as error:  # noqa: BLE001 - those who wait are told
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """End the thread; tell everybody who waits why."""
        with self._lock, suppress(queue.Empty):
            self._thread = None
            while True:
                item = self._rows.get_nowait()
                if item is not None:
                    item[1].fail(error)

    def _batch(self) -> list[tuple[tuple[str, str, str], Deferred[None]]] | None:
        """Wait for a row, then take all there are; None ends the thread."""
        try:
            batch = [self._rows.get(timeout=_IDLE_S)]
        except queue.Empty:
            with self._lock:
                if not self._rows.empty():
                    return []
                self._thread = None
                return None
        with suppress(queue.Empty):
            while batch[-1] is not None:
                batch.append(self._rows.get_nowait())
        if batch[-1] is None and len(batch) > 1:
            self._rows.put(None)  # end after this batch
        rows = [item for item in batch if item is not None]
        return rows or None

    @staticmethod
    def _commit(
        connection: sqlite3.Connection,
        batch: list[tuple[tuple[str, str, str], Deferred[None]]],
    ) -> None:
        stored_at = time.time()
        try:
            with connection:
                connection.executemany(INSERT, [(*row, stored_at) for row, _ in batch])
        except Exception as error:  # noqa: BLE001 - those who wait are told
            for _, done in batch:
                done.fail(error)
        else:
            for _, done in batch:
                done.resolve(None)
