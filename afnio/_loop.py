"""Deferred values: what a task on the background loop will deliver.

`afnio._home` has the loop itself; `afnio._dispatch` is the face of both.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, TypeVar, cast

from afnio._gate import Gate
from afnio._home import HEAD_START, MAX_PENDING, home, outcome_of, running_loop
from afnio.errors import CancelledError, LoopError, StateError

__all__ = [
    "MAX_PENDING",
    "Deferred",
    "call_site",
    "cancel_pending",
    "home",
    "outcome_of",
    "running_loop",
    "site_asked",
    "spawn",
]

T = TypeVar("T")

_PACKAGE: Final = str(Path(__file__).parent) + os.sep
_MACHINERY: Final = (str(Path(asyncio.__file__).parent) + os.sep, threading.__file__)
"""Where threads and tasks begin: no code of the user's lies behind it."""
_PENDING: Final = object()
_order: Final = itertools.count(1)


def call_site() -> str:
    """Return ``file:line`` of the nearest frame outside afnio: the user's code.

    Empty where afnio's own task asks, with no code of the user's behind it.
    """
    frame = sys._getframe(1)  # the documented way to read the stack
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame.f_code.co_filename.startswith(_MACHINERY):
        return ""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


_site: Final = contextvars.ContextVar("afnio_site", default="")


def site_asked() -> str:
    """Return ``file:line`` of what started the present work; empty if not known."""
    return _site.get()


class Deferred(Generic[T]):
    """A value that a task on the background loop will deliver.

    Args:
        label: What is being computed, for error messages.
        site: Where the user's code asked for it; empty if no user reads it.

    Attributes:
        task: What computes it, while that runs.
        cancelled_by: The reason, once somebody has asked it to stop.
    """

    __slots__ = (
        "_callbacks",
        "_error",
        "_home",
        "_lock",
        "_traceback",
        "_value",
        "cancelled_by",
        "label",
        "order",
        "site",
        "task",
    )

    def __init__(self, label: str = "", site: str = "") -> None:
        self.label = label
        self.site = site
        self.order = next(_order)
        self.task: asyncio.Task[Any] | None = None
        self.cancelled_by: CancelledError | None = None
        self._value: Any = _PENDING
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._callbacks: list[Callable[[], None]] | None = []
        self._home = home()
        self._lock = threading.Lock()

    def done(self) -> bool:
        """Whether the value, or the error, is there."""
        return self._callbacks is None

    def succeeded(self) -> bool:
        """Whether the value is there."""
        return self._callbacks is None and self._error is None

    def resolve(self, value: T) -> None:
        """Deliver the value."""
        self._value = value
        self._settle()

    def fail(self, error: BaseException) -> None:
        """Deliver an error; everyone who reads the value gets it."""
        self._error = error
        self._traceback = error.__traceback__
        self._settle()

    def _settle(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
        self.task = None
        for callback in callbacks or ():
            callback()

    def on_done(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when done, at once if it already is."""
        with self._lock:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        callback()

    def wait(self) -> None:
        """Block until done, however it ends; raises only as `result` says."""
        if self._callbacks is not None:
            self._block()

    def result(self) -> T:
        """Wait for the value.

        Raises:
            LoopError: Called on afnio's own event loop, which must never block.
            StateError: The value was pending in a parent process before a fork.
        """
        self.wait()
        if self._error is not None:
            raise self._error.with_traceback(self._traceback)
        return cast("T", self._value)

    def error(self) -> BaseException | None:
        """Return the error, or None; only meaningful when done."""
        return self._error

    def cancel(self) -> None:
        """Ask the task behind this value to stop."""
        home = self._home
        if not self.done():
            with suppress(RuntimeError):  # closed: everything was cancelled
                home.loop.call_soon_threadsafe(home.cancel, self, None)

    def _check_process(self) -> None:
        if self._home.pid != os.getpid():
            raise StateError(
                f"{self.label or 'a value'} was pending when the process forked; "
                "read it before forking, or compute it again in the child."
            )

    def _block(self) -> None:
        self._check_process()
        home = self._home
        if home.is_current():
            raise LoopError(
                f"blocking read of {self.label or 'a pending value'} inside an afnio "
                "coroutine; await it instead."
            )
        home.head_start = HEAD_START
        with home.interruptible():
            gate = Gate()
            self.on_done(gate.open)
            home.wake()
            with home.lane.aside():
                gate.wait()

    def __await__(self) -> Generator[Any, None, T]:
        if self._callbacks is not None:
            self._check_process()
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            self.on_done(lambda: _set_from_anywhere(loop, future))
            if loop is not self._home.loop:
                self._home.wake()
            yield from future
        return self.result()


def _set_from_anywhere(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]
) -> None:
    def arrive() -> None:
        if not future.done():
            future.set_result(None)

    if running_loop() is loop:
        arrive()
        return
    with suppress(RuntimeError):  # the waiting loop is closed: nobody waits any more
        loop.call_soon_threadsafe(arrive)


def spawn(
    coroutine: Coroutine[Any, Any, T],
    deferred: Deferred[T] | None = None,
    *,
    bounded: bool = False,
) -> Deferred[T]:
    """Start ``coroutine`` on the background loop and return its deferred value.

    Args:
        coroutine: The work; the caller's context variables cross over.
        deferred: Deliver to this one, instead of a new one.
        bounded: Count it as a pending operation, and block when there are too many.
            Work that afnio itself waits for (users' functions) never blocks here.
    """
    deferred = Deferred() if deferred is None else deferred
    here = home()
    site = deferred.site or ("" if here.is_current() else call_site())
    token = _site.set(site) if site else None
    try:
        here.spawn(deferred, coroutine, bounded=bounded)
    finally:
        if token is not None:
            _site.reset(token)
    return deferred


def cancel_pending(reason: str = "cancelled while waiting (Ctrl-C)") -> None:
    """Cancel everything in flight and wait shortly until it has let go."""
    home().cancel_pending(reason)
