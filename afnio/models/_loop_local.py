"""Values that belong to one event loop: connections, semaphores, calls in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class LoopLocal(Generic[T]):
    """One value per running loop, made on first use and dropped with the loop.

    After a fork afnio has a new loop, so a child uses nothing that its parent made.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = (
            WeakKeyDictionary()
        )

    def get(self) -> T:
        """Return the running loop's value."""
        loop = asyncio.get_running_loop()
        if (value := self._values.get(loop)) is None:
            value = self._values[loop] = self._make()
        return value

    def peek(self) -> T | None:
        """Return the running loop's value, if there is one."""
        return self._values.get(asyncio.get_running_loop())

    def pop(self) -> T | None:
        """Forget and return the running loop's value, if there is one."""
        return self._values.pop(asyncio.get_running_loop(), None)
