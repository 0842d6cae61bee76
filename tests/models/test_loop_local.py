"""Values that belong to one event loop."""

import asyncio

from afnio.models._loop_local import LoopLocal


def test_each_loop_has_its_own_value():
    """A value is made once per loop, and forgotten when told to."""
    local = LoopLocal(list)

    async def twice():
        first = local.get()
        assert local.get() is first
        assert local.pop() is first
        assert local.pop() is None
        return first

    assert asyncio.run(twice()) is not asyncio.run(twice())
