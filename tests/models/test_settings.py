"""Settings: process-wide defaults, and blocks that override them."""

import asyncio
import threading

import pytest

from afnio.errors import StateError
from afnio.models._settings import Setting


def in_thread(setting):
    """Read the setting in another thread."""
    seen = []
    thread = threading.Thread(target=lambda: seen.append(setting.get()))
    thread.start()
    thread.join()
    return seen[0]


def test_default_is_seen_by_every_thread():
    """A value set at top level holds everywhere."""
    setting = Setting("s", 0)
    setting.apply(1)
    assert (setting.get(), in_thread(setting)) == (1, 1)


def test_block_overrides_here_only_and_ends():
    """Inside a block the value is local; afterwards all is as before."""
    setting = Setting("s", 0)
    setting.apply(1)
    with setting.apply(2) as value:
        assert (value, setting.get(), in_thread(setting)) == (2, 2, 1)
        with setting.apply(3):
            assert setting.get() == 3
        assert setting.get() == 2
    assert (setting.get(), setting.default) == (1, 1)


def test_block_ends_after_an_error():
    """An error inside leaves nothing behind."""
    setting = Setting("s", 0)
    with pytest.raises(KeyError), setting.apply(1):
        raise KeyError
    assert setting.get() == 0


def test_one_setting_cannot_be_entered_twice_at_once():
    """Entering what is in force is refused."""
    applied = Setting("s", 0).apply(1)
    with applied, pytest.raises(StateError, match="already in force"):
        applied.__enter__()


def test_a_block_may_end_in_another_task():
    """As in an async generator that another task drives to its end."""
    setting = Setting("s", 1)

    async def generate():
        with setting.apply(2):
            yield setting.get()

    async def step(numbers):
        return await anext(numbers, None)

    async def main():
        numbers = generate()
        first = await asyncio.create_task(step(numbers))
        return first, await asyncio.create_task(step(numbers)), setting.get()

    assert asyncio.run(main()) == (2, None, 1)
