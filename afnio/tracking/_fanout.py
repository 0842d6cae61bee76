"""From a run to its loggers: a queue and a thread, so that nobody waits for them."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from afnio._warn import warn
from afnio.tracking.loggers import RunInfo, RunLogger
from afnio.tracking.run_context import brief_error, finish_before_others

PATIENCE_S: Final = 30.0
"""Seconds that the end of a run waits for its loggers."""

Failure = tuple[str, str]
_Call = tuple[str, tuple[Any, ...]]


class Fanout:
    """Calls loggers in order, on one thread; safe from any thread.

    Args:
        loggers: Who is called.
        info: What they are started with.
        on_failure: Told which logger has failed and how, on a caller's thread.
    """

    def __init__(
        self,
        loggers: Iterable[RunLogger],
        info: RunInfo,
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._loggers = list(loggers)
        self._on_failure = on_failure
        self._pid = os.getpid()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._failures: queue.SimpleQueue[Failure] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._work, name="afnio-loggers", daemon=True
        )
        self._thread.start()
        self.send("start", info)

    def send(self, method: str, *args: Any) -> None:
        """Call ``method`` of every logger, soon. A forked child calls nobody."""
        if os.getpid() == self._pid:
            self._tell()
            self._calls.put((method, args))

    def close(self, status: str) -> None:
        """Finish the loggers, and wait until they are done or patience ends."""
        if os.getpid() != self._pid:
            return
        self.send("finish", status)
        self._calls.put(None)
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            names = ", ".join(type(logger).__name__ for logger in self._loggers)
            self._failures.put((names, f"not done after {PATIENCE_S:g} s"))
        self._tell()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            method, args = call
            for logger in list(self._loggers):
                try:
                    getattr(logger, method)(*args)
                except Exception as error:  # noqa: BLE001 - a logger must not stop training
                    self._loggers.remove(logger)
                    found = f"{brief_error(error)} in {method}()"
                    self._failures.put((type(logger).__name__, found))
            if method == "start":
                finish_before_others()

    def _tell(self) -> None:
        """Report failures, once each, where the program can see them."""
        while not self._failures.empty():
            name, error = self._failures.get()
            self._on_failure(name, error)
            warn(
                f"logger {name} has failed ({error}); the run goes on without it.",
            )
