"""The user lane: where users' plain functions run when afnio calls them.

Users' functions (``eval_fn``, ``Function.backward``, hooks) must not run on the event
loop thread, where a slow one would stall every model call. They run on the *lane*: at
most one at a time, so they need no locks, lowest order number first, so the earlier
operation is served first. A function that waits for an afnio value steps aside while it
waits, so functions that depend on each other's results cannot deadlock.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_IDLE_S: Final = 10.0
"""Seconds after which a thread with nothing to do ends."""

Job = Callable[[], None]


class Lane:
    """Run jobs one at a time on daemon threads, lowest order first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: list[tuple[int, int, Job]] = []
        self._ticket = itertools.count()
        self._idle = 0
        self._busy = False
        self._members = threading.local()

    def submit(self, job: Job, order: int = 0) -> None:
        """Queue ``job``; it must not raise."""
        with self._changed:
            heapq.heappush(self._jobs, (order, next(self._ticket), job))
            self._wake()

    def is_member(self) -> bool:
        """Whether the current thread runs a job of this lane."""
        return getattr(self._members, "inside", False)

    def is_awaited(self) -> bool:
        """Whether a pending operation waits for the current thread.

        Such a thread must never wait for room among the pending operations, or for all
        of them to end.
        """
        return self.is_member() or getattr(self._members, "awaited", False)

    def serve(self) -> None:
        """Say that the current thread works for a pending operation, off the lane."""
        self._members.awaited = True

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let other jobs run while the current thread waits for something."""
        if not self.is_member():
            yield
            return
        with self._changed:
            self._busy = False
            self._wake()
        try:
            yield
        finally:
            with self._changed:
                while self._busy:
                    self._changed.wait()
                self._busy = True

    def _wake(self) -> None:
        if not self._jobs or self._busy or self._idle:
            self._changed.notify_all()
        else:
            threading.Thread(target=self._work, name="afnio-user", daemon=True).start()

    def _work(self) -> None:
        self._members.inside = True
        job = self._next()
        while job is not None:
            job()
            del job
            job = self._next(has_run=True)

    def _next(self, *, has_run: bool = False) -> Job | None:
        """Wait for a job; None if there is none for long.

        Whoever has run one becomes idle in the same breath: a job that came in between
        would find nobody, and start a thread more.
        """
        with self._changed:
            if has_run:
                self._busy = False
                self._changed.notify_all()
            self._idle += 1
            try:
                while self._busy or not self._jobs:
                    if not self._changed.wait(_IDLE_S) and not self._jobs:
                        return None
                self._busy = True
                return heapq.heappop(self._jobs)[2]
            finally:
                self._idle -= 1
