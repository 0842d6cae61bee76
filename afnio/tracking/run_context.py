"""The active run, and what happens to unfinished runs when the process ends.

The active run of a thread or task is the one made there; elsewhere it is the one made
first in the process. An unhandled exception marks open runs CRASHED; a run that is
simply never finished is COMPLETED at exit.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

from afnio._text import shorten
from afnio.errors import AfnioError

if TYPE_CHECKING:
    from afnio.tracking.run import Run

_here: Final[ContextVar[Run | None]] = ContextVar("afnio_active_run", default=None)


class Closable(Protocol):
    """What has to be ended before the process is."""

    uuid: str
    pid: int

    def close(self, error: BaseException | None = None) -> None:
        """End it."""


class _Process:
    """What all threads share: the default run, and the runs to finish at exit.

    ``opened`` has the directories of all runs that this process has written.
    """

    default: Run | None = None
    unfinished: Final[dict[str, Closable]] = {}
    opened: Final[set[Path]] = set()
    hooked: bool = False


def get_active_run() -> Run | None:
    """Return the run that `log` writes to here, or None."""
    for run in (_here.get(), _Process.default):
        if run is not None and not run.is_finished:
            return run
    return None


def set_active_run(run: Run | None) -> None:
    """Make ``run`` the active one here; None clears it."""
    if run is not None:
        _Process.opened.add(run.path)
    shown = get_active_run()
    _here.set(run)
    if run is None or _Process.default is shown or _Process.default is None:
        _Process.default = run


def started_here(run: Run) -> bool:
    """Whether this thread of this process started ``run``."""
    return run.pid == os.getpid() and run.thread == threading.get_ident()


def watch(run: Closable) -> None:
    """Finish ``run`` when the process ends, unless that has happened before."""
    _Process.unfinished[run.uuid] = run
    if not _Process.hooked:
        _Process.hooked = True
        _chain_excepthook()
        atexit.register(finish_all)


def finish_before_others() -> None:
    """Make the end of runs the next thing to happen at exit.

    Libraries of loggers close themselves at exit, and what is registered last runs
    first: a run has to end before that.
    """
    if _Process.hooked:
        atexit.unregister(finish_all)
        atexit.register(finish_all)


def was_opened(path: Path) -> bool:
    """Whether this process has had the run in a directory open before."""
    return path in _Process.opened


def unwatch(run: Run) -> None:
    """Let go of a finished run."""
    _Process.unfinished.pop(run.uuid, None)
    if _here.get() is run:
        _here.set(None)
    if _Process.default is run:
        _Process.default = None


def finish_all(error: BaseException | None = None) -> None:
    """Finish this process's open runs: CRASHED if ``error``, COMPLETED otherwise."""
    for run in list(_Process.unfinished.values()):
        if run.pid == os.getpid():  # a forked child leaves its parent's runs alone
            with suppress(OSError):  # the directory is gone, the disk is full
                run.close(error)


def _chain_excepthook() -> None:
    following = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        try:
            finish_all(error)
        finally:
            following(kind, error, trace)

    sys.excepthook = hook


def brief_error(error: BaseException) -> str:
    """Name an error for a file; only our own messages are known to hold no key."""
    kind = type(error).__name__
    return f"{kind}: {shorten(error)}" if isinstance(error, AfnioError) else kind


@contextmanager
def suppress_variable_notifications(*_args: Any, **_kwargs: Any) -> Iterator[None]:
    """Do nothing: Variables never leave the process. Documented programs call it."""
    yield
