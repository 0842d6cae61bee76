"""Grad modes: as context managers, decorators and plain calls, per thread and task."""

from __future__ import annotations

import asyncio
import threading

import pytest

from afnio import Variable, enable_grad, is_grad_enabled, no_grad, set_grad_enabled


@pytest.fixture(autouse=True)
def _enabled_again():
    """Leave every test with recording on."""
    yield
    set_grad_enabled(True)


def test_nesting_and_exceptions():
    """A10: the previous mode returns, whatever happens."""
    with no_grad():
        with enable_grad():
            assert is_grad_enabled()
        assert not is_grad_enabled()
        with pytest.raises(KeyError), enable_grad():
            raise KeyError
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_one_object_nested_in_itself():
    """The same object may be entered again before it is left."""
    mode = no_grad()
    with mode, enable_grad(), mode:
        assert not is_grad_enabled()
    assert is_grad_enabled()


@pytest.mark.parametrize(
    "decorator", [no_grad, no_grad(), lambda fn: set_grad_enabled(False)(fn)]
)
def test_decorated_function(decorator):
    """A11: with and without parentheses; name and result survive."""

    @decorator
    def add(x):
        """Add."""
        return x + "b"

    y = add(Variable("a", requires_grad=True))
    assert (y.requires_grad, y.data) == (False, "ab")
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    assert is_grad_enabled()


def test_decorator_keeps_the_mode_outside():
    """Decorating changes no mode by itself."""

    @set_grad_enabled(False)
    def off():
        return is_grad_enabled()

    assert is_grad_enabled()
    assert off() is False


def test_plain_call():
    """A12: takes effect at once and until the next call."""
    set_grad_enabled(False)
    x = Variable("a", requires_grad=True)
    assert not (x + x).requires_grad
    set_grad_enabled(True)
    assert (x + x).requires_grad


def test_set_grad_enabled_in_a_block():
    """As a context manager it ends with the block."""
    with set_grad_enabled(False):
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_new_thread():
    """A13: a thread starts enabled, whatever the main thread does."""
    set_grad_enabled(False)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
    thread.start()
    thread.join()
    assert seen == [True]


def test_generators():
    """The mode holds inside the generator and not between its items."""

    @no_grad()
    def numbers():
        sent = yield is_grad_enabled()
        try:
            yield sent
        except KeyError:
            yield is_grad_enabled()
        try:
            yield 4
        finally:
            closed.append(is_grad_enabled())
        return "end"

    closed = []
    generator = numbers()
    assert next(generator) is False
    assert is_grad_enabled()
    assert generator.send("sent") == "sent"
    assert generator.throw(KeyError()) is False
    assert next(generator) == 4
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "end"
    other = numbers()
    for _ in range(3):
        other.send(None)
    other.close()
    assert closed == [False, False]


def test_async_functions_and_generators():
    """Coroutine functions and async generators are covered too."""

    @no_grad
    async def value():
        await asyncio.sleep(0)
        return is_grad_enabled()

    @no_grad
    async def values():
        for _ in range(2):
            await asyncio.sleep(0)
            yield is_grad_enabled()

    async def main():
        return await value(), [(v, is_grad_enabled()) async for v in values()]

    assert asyncio.run(main()) == (False, [(False, True), (False, True)])


def test_tasks_do_not_disturb_each_other():
    """A mode belongs to the task that set it."""

    async def off(here, there):
        with no_grad():
            here.set()
            await there.wait()
            return is_grad_enabled()

    async def on(here, there):
        await there.wait()
        here.set()
        return is_grad_enabled()

    async def main():
        a, b = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(off(a, b), on(b, a))

    assert asyncio.run(main()) == [False, True]
