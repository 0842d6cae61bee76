"""Deferred values and the loop behind them; most is tested in test_dispatch.py."""

from __future__ import annotations

import asyncio
import threading

import pytest

from afnio._home import home
from afnio._loop import Deferred, call_site, spawn
from afnio.errors import CancelledError, LoopError


def test_call_site_is_the_users_line():
    """The nearest frame outside the package, as file and line."""
    path, line = call_site().rsplit(":", 1)
    assert path == __file__
    assert int(line) > 0


def test_callbacks_run_once_and_late_ones_at_once():
    """Before or after it is done, a callback is called exactly once."""
    deferred, seen = Deferred("x"), []
    deferred.on_done(lambda: seen.append("early"))
    assert not deferred.done()
    deferred.resolve(3)
    deferred.on_done(lambda: seen.append("late"))
    assert seen == ["early", "late"]
    assert deferred.result() == 3
    assert deferred.succeeded()


def test_failure():
    """The error is kept and raised to everyone."""
    deferred, error = Deferred(), KeyError("x")
    deferred.fail(error)
    assert deferred.error() is error
    assert not deferred.succeeded()
    for _ in range(2):
        with pytest.raises(KeyError):
            deferred.result()


def test_cancel_before_it_has_begun():
    """A task that was cancelled at once raises the cancellation, without warnings."""

    async def never():
        raise AssertionError

    blocked, free = threading.Event(), threading.Event()

    def block():
        blocked.set()
        free.wait()

    home().loop.call_soon_threadsafe(block)
    blocked.wait()
    deferred = spawn(never())
    deferred.cancel()
    free.set()
    with pytest.raises(CancelledError):
        deferred.result()


def test_cancel_while_it_runs():
    """The task sees the cancellation and the reader gets the error."""
    entered = threading.Event()

    async def hang():
        entered.set()
        await asyncio.Event().wait()

    deferred = spawn(hang())
    entered.wait()
    deferred.cancel()
    with pytest.raises(CancelledError):
        deferred.result()
    deferred.cancel()


def test_work_that_finishes_in_spite_of_a_cancel():
    """Its value counts."""
    entered = threading.Event()

    async def stubborn():
        try:
            entered.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 7

    deferred = spawn(stubborn())
    entered.wait()
    home().cancel_pending("please")
    assert deferred.result() == 7


def test_blocking_on_the_loop_is_refused():
    """The loop's own thread must never wait."""
    found = Deferred()

    def on_loop():
        try:
            Deferred("a thing").result()
        except LoopError as error:
            found.resolve(str(error))

    home().loop.call_soon_threadsafe(on_loop)
    assert "a thing" in found.result()
