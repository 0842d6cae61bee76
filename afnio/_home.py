"""The process's one background event loop, its thread, and what is in flight on it.

The thread is a daemon, made on first use and again after a fork. The loop owns all
connections, locks and semaphores. Only the loop's own thread touches ``pending``, so an
interrupt that hits the caller at any moment cannot leave it half changed.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from afnio._gate import Gate
from afnio._lane import Lane
from afnio.errors import CancelledError, InputValueError, StateError

if TYPE_CHECKING:
    from afnio._loop import Deferred

T = TypeVar("T")
Outcome = tuple[T | None, BaseException | None]


def _limit(name: str, default: int) -> int:
    """Return a positive number from the environment."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not int(text):
        raise InputValueError(f"{name} is {text!r}; expected a number from 1 on.")
    return int(text)


MAX_PENDING: Final = _limit("AFNIO_MAX_PENDING", 16_384)
"""Operations that may be pending at once; past it, dispatch blocks."""

_UNWIND_S: Final = 2.0
"""Seconds to wait for cancelled work to let go."""

STARTS_PER_TURN: Final = 4
"""Operations that start in one turn of the loop."""

HEAD_START: Final = 16
"""Operations that start while a thread, which has waited, dispatches further ones."""

_GLANCE_S: Final = 1e-5
"""Seconds for which a thread lets go of the interpreter for that. Otherwise it may keep
it for 5 ms, in which it dispatches fifty operations."""

_NOTE: Final = "in {}, called at {}"


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop running in this thread, if any."""
    return asyncio._get_running_loop()


class Home:
    """The background loop, its thread, and what is in flight on it.

    Callers and the loop's thread share no lock that Python code holds: an interrupt
    could keep the caller from ever releasing it, and then the loop would stand still.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.lane = Lane()
        self.pending: dict[Deferred[Any], None] = {}
        self.head_start = HEAD_START
        self._room_seekers: deque[Gate] = deque()
        self._inbox: deque[Callable[[], None]] = deque()
        self._awake = False
        self._closing = False
        self._thread = threading.Thread(
            target=self._serve, name="afnio-loop", daemon=True
        )
        self._thread.start()

    def is_current(self) -> bool:
        """Whether this is the loop's own thread."""
        return running_loop() is self.loop

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._closing:
            with suppress(KeyboardInterrupt, SystemExit):  # carried to the waiter
                self.loop.run_forever()
        self.loop.set_exception_handler(lambda *_: None)  # nobody reads it any more
        self.loop.close()

    def spawn(
        self, deferred: Deferred[T], coroutine: Coroutine[Any, Any, T], *, bounded: bool
    ) -> None:
        """Start ``coroutine`` and deliver what comes of it to ``deferred``.

        Raises:
            StateError: The interpreter is exiting.
        """
        if self._closing:
            coroutine.close()
            raise StateError("the interpreter is exiting; no work can be started.")
        if bounded and not self.is_current() and not self.lane.is_awaited():
            self._wait_for_room(coroutine)
        context = contextvars.copy_context()
        self._inbox.append(partial(self._start, deferred, coroutine, context))
        if not self._awake:
            self._awake = True
            self.wake()
        if self.head_start and running_loop() is None:
            self.head_start -= 1
            time.sleep(_GLANCE_S)

    def wake(self) -> None:
        """Have the loop look into its inbox.

        Waiters call it as well: an interrupt may have hit `spawn` just before it did.
        """
        if self.is_current():
            self.loop.call_soon(self._start_some)
            return
        with suppress(RuntimeError):  # closed: nothing can be started any more
            self.loop.call_soon_threadsafe(self._start_some)

    def _has_room(self) -> bool:
        return len(self.pending) + len(self._inbox) < MAX_PENDING

    def _wait_for_room(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        while not self._has_room():
            gate = Gate()
            self._room_seekers.append(gate)
            self.wake()
            try:
                with self.interruptible():
                    gate.wait()
            except BaseException:
                coroutine.close()
                raise

    def _start_some(self) -> None:
        """Start a little of what waits, then let what has been started go on.

        Tasks take turns: if all began in one turn, no request would leave before all
        had been written, and all replies would come at once while nothing is left to
        do in between.
        """
        self._awake = False
        for _ in range(min(STARTS_PER_TURN, len(self._inbox))):
            self._inbox.popleft()()
        if self._inbox:
            self._awake = True
            self.loop.call_soon(self._start_some)
        self._let_in()

    def _drain(self) -> None:
        """Start everything that waits."""
        self._awake = False
        while self._inbox:
            self._inbox.popleft()()
        self._let_in()

    def _let_in(self) -> None:
        while self._room_seekers and self._has_room():
            self._room_seekers.popleft().open()

    def _start(
        self,
        deferred: Deferred[T],
        coroutine: Coroutine[Any, Any, T],
        context: contextvars.Context,
    ) -> None:
        self.pending[deferred] = None
        task = self.loop.create_task(outcome_of(coroutine), context=context)
        task.add_done_callback(partial(self._deliver, deferred, coroutine))
        deferred.task = task

    def _deliver(
        self,
        deferred: Deferred[T],
        coroutine: Coroutine[Any, Any, T],
        task: asyncio.Task[Outcome[T]],
    ) -> None:
        """Hand the outcome to the reader, KeyboardInterrupt and SystemExit too."""
        del self.pending[deferred]
        self._let_in()
        if task.cancelled():
            coroutine.close()  # it may never have started
            deferred.fail(
                deferred.cancelled_by or CancelledError("the operation was cancelled")
            )
            return
        value, error = task.result()
        if error is None:
            deferred.resolve(cast("T", value))
            return
        _annotate(error, deferred)
        deferred.fail(error)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Cancel everything in flight if Ctrl-C hits the wait inside."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            self.cancel_pending()
            raise

    def cancel(self, deferred: Deferred[Any], reason: CancelledError | None) -> None:
        """Ask the task behind ``deferred`` to stop; on the loop's thread only."""
        self._drain()
        if deferred in self.pending and deferred.task is not None:
            deferred.cancelled_by = deferred.cancelled_by or reason
            deferred.task.cancel()

    def cancel_pending(self, reason: str = "cancelled while waiting (Ctrl-C)") -> None:
        """Cancel everything in flight and wait shortly until it has let go."""
        if self._closing:
            return
        done = Gate()
        error = CancelledError(reason)

        def cancel() -> None:
            self._drain()
            waiting = list(self.pending)
            for deferred in waiting:
                self.cancel(deferred, error)
            self.loop.create_task(_notify(waiting, done))

        self.loop.call_soon_threadsafe(cancel)
        if not self.is_current():
            done.wait(_UNWIND_S)

    def in_flight(self) -> list[Deferred[Any]]:
        """Return the operations that are pending now, in order of dispatch."""
        if self._closing:
            return []
        found: list[Deferred[Any]] = []
        done = Gate()

        def collect() -> None:
            self._drain()
            found.extend(item for item in self.pending if item.site)
            done.open()

        with self.interruptible():
            self.loop.call_soon_threadsafe(collect)
            done.wait()
        return sorted(found, key=lambda item: item.order)

    def close(self) -> None:
        """Cancel what is in flight and end the thread; called at interpreter exit."""
        if self.pid != os.getpid() or not self._thread.is_alive():
            return
        self.cancel_pending("the interpreter is exiting")
        self._closing = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_UNWIND_S)
        for deferred in list(self.pending):  # would not let go; readers must not hang
            deferred.fail(CancelledError("the interpreter is exiting"))


def _annotate(error: BaseException, deferred: Deferred[Any]) -> None:
    """Note which operation failed, unless the error comes from one it depends on."""
    start = _NOTE.partition("{")[0]
    notes = getattr(error, "__notes__", ())
    if deferred.site and not any(
        note.startswith(start) and ", called at " in note for note in notes
    ):
        error.add_note(_NOTE.format(deferred.label, deferred.site))


async def _notify(waiting: list[Deferred[Any]], done: Gate) -> None:
    for deferred in waiting:
        with suppress(BaseException):
            await deferred
    done.open()


async def outcome_of(work: Coroutine[Any, Any, T]) -> Outcome[T]:
    """Turn an error into a value, so that no exit request can stop the loop."""
    try:
        return await work, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - raised again by the reader
        return None, error


class _Process:
    """Holds the process's one `Home`, made on first use and again after a fork."""

    home: Home | None = None
    inherited: Home | None = None
    """The parent's, kept so that the child does not close what the parent uses."""
    lock = threading.Lock()


def home() -> Home:
    """Return this process's loop, starting it if need be."""
    here = _Process.home
    if here is None:
        with _Process.lock:
            here = _Process.home = _Process.home or Home()
    return here


@atexit.register
def _close_home() -> None:
    if _Process.home is not None:
        _Process.home.close()


def _after_fork() -> None:
    _Process.lock = threading.Lock()  # another thread may have held the old one
    _Process.inherited = _Process.home or _Process.inherited
    _Process.home = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
