"""How often each question was asked, in a form that a checkpoint can keep."""

from __future__ import annotations

import threading
from typing import Final

DIGEST_BYTES: Final = 8
_LIMIT: Final = 200_000
"""Different questions counted where nothing is kept; past it, counting starts again."""


class SampleCounts:
    """Numbers equal questions from 0. Safe to use from any thread.

    Args:
        keeps_log: Remember every question in order, eight bytes each, so that a
            checkpoint can refer to any moment.
    """

    def __init__(self, *, keeps_log: bool) -> None:
        self._counts: dict[bytes, int] = {}
        self._log: bytearray | None = bytearray() if keeps_log else None
        self._lock = threading.Lock()

    def next(self, question: bytes) -> int:
        """Return how often ``question`` was asked before, and count this time."""
        with self._lock:
            if self._log is not None:
                self._log += question
            elif len(self._counts) >= _LIMIT:
                self._counts.clear()
            index = self._counts.get(question, 0)
            self._counts[question] = index + 1
            return index

    def mark(self) -> int:
        """Return how many questions were asked."""
        return len(self._log or b"") // DIGEST_BYTES

    def log(self, since: int = 0) -> bytes:
        """Return the questions asked after a mark."""
        with self._lock:
            return bytes((self._log or b"")[since * DIGEST_BYTES :])

    def restore(self, log: bytes) -> None:
        """Count on from where ``log`` ends."""
        with self._lock:
            self._counts = {}
            for start in range(0, len(log), DIGEST_BYTES):
                question = log[start : start + DIGEST_BYTES]
                self._counts[question] = self._counts.get(question, 0) + 1
            if self._log is not None:
                self._log = bytearray(log)

    def copy(self) -> SampleCounts:
        """Return counts that go on from here on their own."""
        other = SampleCounts(keeps_log=False)
        with self._lock:
            other._counts = dict(self._counts)
        return other
