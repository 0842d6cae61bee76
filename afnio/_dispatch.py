"""Asynchronous dispatch: how work gets onto the background loop, and its results back.

What CUDA streams are to PyTorch, this is to afnio: an operation returns at once, a task
on the background loop computes its value, and reading the value waits. All logic is
async; each blocking form is `run_sync` around its ``a`` form.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar, cast

from afnio._home import STARTS_PER_TURN
from afnio._loop import (
    MAX_PENDING,
    Deferred,
    call_site,
    cancel_pending,
    home,
    outcome_of,
    running_loop,
    spawn,
)
from afnio.errors import LoopError

__all__ = [
    "MAX_PENDING",
    "Deferred",
    "abandon",
    "call_site",
    "call_user",
    "cancel_pending",
    "eager",
    "gather",
    "in_thread",
    "is_eager",
    "is_on_loop",
    "local",
    "on_loop",
    "run_sync",
    "running_loop",
    "spawn",
    "synchronize",
]

T = TypeVar("T")

_eager: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "afnio_eager", default=os.environ.get("AFNIO_EAGER", "") not in ("", "0")
)


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run ``coroutine`` on the background loop and wait for its result.

    Raises:
        LoopError: Called on that loop; await the ``a`` form there.
    """
    if home().is_current():
        coroutine.close()
        raise LoopError(
            "blocking call inside an afnio coroutine; await its a-form instead."
        )
    return spawn(coroutine).result()


async def on_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await ``coroutine`` on the background loop, from whichever loop is running."""
    if home().is_current():
        return await coroutine
    deferred = spawn(coroutine)
    try:
        return await deferred
    except asyncio.CancelledError:
        await abandon([deferred])
        raise


async def abandon(deferreds: Sequence[Deferred[Any]]) -> None:
    """Cancel what nobody will read any more, and wait until it has let go."""
    for deferred in deferreds:
        deferred.cancel()
    for deferred in deferreds:
        with suppress(BaseException):
            await deferred


async def gather(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all at once; results come in input order.

    The first failure in input order among those that failed is raised, after the others
    were cancelled and have let go.
    """
    work = list(coroutines)
    if len(work) == 1:
        return [await work[0]]
    tasks: list[asyncio.Task[Any]] = []
    try:
        for item in work:
            tasks.append(asyncio.ensure_future(outcome_of(item)))
            if len(tasks) % STARTS_PER_TURN == 0:
                await asyncio.sleep(0)
        return [_unwrap(task.result()) for task in await _settled(tasks)]
    finally:
        for task in tasks:
            task.cancel()
        if any(not task.done() for task in tasks):
            await asyncio.wait(tasks)
        for item in work:
            item.close()  # one that was cancelled may never have started


async def _settled(tasks: list[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Wait for all, or for the first failure; then return what is done, in order."""
    failed = asyncio.Event()
    left = len(tasks)

    def arrived(task: asyncio.Task[Any]) -> None:
        nonlocal left
        left -= 1
        if left == 0 or task.cancelled() or task.result()[1] is not None:
            failed.set()

    for task in tasks:
        task.add_done_callback(arrived)
    if tasks:
        await failed.wait()
    if left:
        return [t for t in tasks if t.done() and (t.cancelled() or t.result()[1])]
    return tasks


def _unwrap(outcome: tuple[T | None, BaseException | None]) -> T:
    value, error = outcome
    if error is not None:
        raise error
    return cast("T", value)


async def call_user(fn: Callable[..., Any], *args: Any, order: int = 0) -> Any:
    """Call a user's function off the loop; await what it returns, if need be.

    Args:
        fn: ``def``, run on the user lane, or ``async def``, awaited here.
        *args: Its arguments.
        order: Among functions ready at once, the lowest runs first.
    """
    if _is_async(fn):
        return await fn(*args)
    result = await _off_loop(fn, args, lambda job: home().lane.submit(job, order))
    return await result if inspect.isawaitable(result) else result


def _is_async(fn: Callable[..., Any]) -> bool:
    """Whether ``fn`` is ``async def``, or an object whose ``__call__`` is."""
    call = type(fn).__call__
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(call)


async def in_thread(fn: Callable[..., T], *args: Any) -> T:
    """Call a blocking function on a daemon thread of its own, beside all others."""

    def start(job: Callable[[], None]) -> None:
        def serve() -> None:
            home().lane.serve()
            job()

        threading.Thread(target=serve, name="afnio-blocking", daemon=True).start()

    return cast("T", await _off_loop(fn, args, start))


async def _off_loop(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    start: Callable[[Callable[[], None]], None],
) -> Any:
    answer: Deferred[Any] = Deferred()
    context = contextvars.copy_context()
    wanted = True

    def job() -> None:
        if not wanted:  # cancelled while it was queued
            answer.resolve(None)
            return
        try:
            answer.resolve(context.run(fn, *args))
        except BaseException as error:  # noqa: BLE001 - delivered to the awaiting task
            answer.fail(error)

    start(job)
    try:
        return await answer
    except asyncio.CancelledError:
        answer.on_done(partial(_discard, answer))
        raise
    finally:
        wanted = False


def _discard(answer: Deferred[Any]) -> None:
    """Close what nobody awaits any more."""
    if answer.succeeded() and inspect.iscoroutine(result := answer.result()):
        result.close()


def is_on_loop() -> bool:
    """Whether the current thread is that of the background loop."""
    running = running_loop()
    return running is not None and home().is_current()


def synchronize() -> None:
    """Wait until every operation that is pending now has finished.

    Raises:
        Exception: The first error, in order of dispatch, among those waited for.
        LoopError: Called where waiting for everything could never end: on afnio's own
            loop, or in a function that a pending operation waits for.
    """
    here = home()
    if here.is_current() or here.lane.is_awaited():
        raise LoopError(
            "synchronize() inside a function that a pending operation waits for would "
            "wait for itself; read the values it needs instead."
        )
    waited = here.in_flight()
    for deferred in waited:
        deferred.wait()
    for deferred in waited:
        deferred.result()


@contextmanager
def eager(mode: bool = True) -> Iterator[None]:
    """Compute every operation at once inside this block, for debugging.

    ``AFNIO_EAGER=1`` in the environment does the same for a whole program, as
    ``CUDA_LAUNCH_BLOCKING=1`` does for PyTorch.
    """
    with local(_eager, mode):
        yield


@contextmanager
def local(variable: contextvars.ContextVar[T], value: T) -> Iterator[None]:
    """Set a context variable inside a block."""
    token = variable.set(value)
    try:
        yield
    finally:
        with suppress(ValueError):  # an async generator may end in another task
            variable.reset(token)


def is_eager() -> bool:
    """Whether operations are computed at once."""
    return _eager.get()
