"""A gate at which one thread waits for another."""

from __future__ import annotations

import threading
from typing import Final

_LONGEST_WAIT_S: Final = 1.0
"""Seconds until a waiting thread looks whether it was interrupted."""


class Gate:
    """Lets one thread wait for another; an interrupt cannot leave it half locked."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let the waiting thread pass; call it once."""
        self._lock.release()

    def wait(self, timeout_s: float = -1) -> None:
        """Wait until open, at most ``timeout_s`` seconds if that is not negative.

        A signal that comes just before the lock starts to wait is seen only when it
        ends; so no single wait is long.
        """
        if timeout_s >= 0:
            self._lock.acquire(timeout=timeout_s)
            return
        while not self._lock.acquire(timeout=_LONGEST_WAIT_S):
            pass
