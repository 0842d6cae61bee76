"""Grad modes: as context managers, decorators and plain calls, per thread and task."""

from __future__ import annotations

import asyncio
import threading

import pytest

from afnio import Variable, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from afnio.errors import InputTypeError


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


def test_one_object_in_several_tasks_and_threads():
    """Each leaves the mode that it found itself, in whatever order they end."""
    shared = no_grad()
    gates = [threading.Event() for _ in range(3)]
    found = {}

    def work(name, outer, arrive, wait):
        with outer:
            with shared:
                arrive.set()
                wait.wait(5)
                inside = is_grad_enabled()
            found[name] = inside, is_grad_enabled()

    first = threading.Thread(target=work, args=(1, enable_grad(), gates[0], gates[1]))
    second = threading.Thread(target=work, args=(2, no_grad(), gates[1], gates[2]))
    first.start()
    gates[0].wait(5)
    second.start()
    first.join(5)
    gates[2].set()
    second.join(5)
    assert found == {1: (False, True), 2: (False, False)}


def test_async_generator_driven_by_several_tasks():
    """wait_for may run every step of it in a task of its own."""

    async def values():
        with no_grad():
            yield is_grad_enabled()
            yield 2

    async def main():
        generator = values()
        seen = [await asyncio.create_task(following(generator)) for _ in range(3)]
        return seen, is_grad_enabled()

    async def following(generator):
        return await anext(generator, "end")

    assert asyncio.run(main()) == ([False, 2, "end"], True)


def test_object_with_async_call():
    """Its coroutine runs in the mode too."""

    class Ask:
        async def __call__(self):
            return is_grad_enabled()

    assert asyncio.run(no_grad(Ask())()) is False


@pytest.mark.parametrize(
    "use",
    [
        lambda: no_grad(False),
        lambda: enable_grad()(3),
        lambda: no_grad(dict),
        lambda: set_grad_enabled("no"),
        lambda: set_grad_enabled(None),
        lambda: set_grad_enabled(False)(dict),
    ],
)
def test_refused(use):
    """Modes are bools, and decorate functions."""
    with pytest.raises(InputTypeError):
        use()
