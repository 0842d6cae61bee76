"""A pool of HTTP connections that does not slow down with their number.

The pool under the SDKs looks at each of its connections, with a system call for most,
whenever a request starts or ends; with 32 connections that is a quarter of all the time
that a call takes. See ``docs/design/0007-transport.md``.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from afnio.models._sockets import SocketBackend

_SWEEP_S: Final = 1.0
"""Seconds between looks at connections that nobody has used."""


def quicken(http_client: Any) -> None:
    """Give ``http_client``, an SDK's, a pool of ours; leave unknown kinds as they are.

    Its connections, and so all that they say, are still the library's; our streams
    carry them. Calls through a proxy of the environment stay the library's altogether.
    """
    transport = getattr(http_client, "_transport", None)
    pool = getattr(transport, "_pool", None)
    create = getattr(pool, "create_connection", None)
    if create is None or getattr(pool, "_http2", True):
        return
    if (backend := getattr(pool, "_network_backend", None)) is not None:
        library = sys.modules[type(pool).__module__.partition(".")[0]]
        pool._network_backend = SocketBackend(library, backend)  # type: ignore[union-attr]
    transport._pool = Pool(create)  # type: ignore[union-attr]


class Pool:
    """Keeps idle connections and hands out the one that was used last.

    How many there are is decided by who asks: afnio's limiter.

    Args:
        create: Makes the connection of an origin, as the library's own pool does.
        clock: Tells seconds; injected by tests.
    """

    def __init__(
        self,
        create: Callable[[Any], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._create = create
        self._clock = clock
        self._idle: dict[Any, deque[Any]] = {}
        self._swept_at = float("-inf")

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request; its connection comes back when the response is closed."""
        origin = request.url.origin
        key = (origin.scheme, origin.host, origin.port)
        idle = self._idle.setdefault(key, deque())
        await self._sweep(idle)
        connection = await _fresh(idle) or self._create(origin)
        response = await connection.handle_async_request(request)
        response.stream = _Body(self, response.stream, connection, idle)
        return response

    async def _sweep(self, idle: deque[Any]) -> None:
        """Close old connections now and then: asking one costs a system call."""
        if (now := self._clock()) < self._swept_at + _SWEEP_S:
            return
        self._swept_at = now
        while len(idle) > 1 and idle[0].has_expired():
            await idle.popleft().aclose()

    def keeps(self, idle: deque[Any]) -> bool:
        """Whether connections of this line are still wanted."""
        return any(idle is line for line in self._idle.values())

    async def aclose(self) -> None:
        """Close what is idle; what is busy closes when its response does."""
        lines, self._idle = self._idle.values(), {}
        for idle in lines:
            while idle:
                await idle.pop().aclose()


async def _fresh(idle: deque[Any]) -> Any:
    """Take the connection used last, if it still stands."""
    while idle:
        connection = idle.pop()
        if not connection.has_expired():
            return connection
        await connection.aclose()
    return None


class _Body:
    """A response's body; closing it gives the connection back."""

    def __init__(
        self, pool: Pool, stream: Any, connection: Any, idle: deque[Any]
    ) -> None:
        self._pool = pool
        self._stream = stream
        self._connection = connection
        self._idle = idle
        self._is_open = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        chunks: AsyncIterator[bytes] = aiter(self._stream)
        return chunks

    async def aclose(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await self._stream.aclose()
        if not self._connection.is_idle():
            return
        if _has_leftovers(self._connection) or not self._pool.keeps(self._idle):
            await self._connection.aclose()
        else:
            self._idle.append(self._connection)


def _has_leftovers(connection: Any) -> bool:
    """Whether bytes came after the response, such as the same response once more.

    They would be read as the answer to the next request.
    """
    while (inner := getattr(connection, "_connection", None)) is not None:
        connection = inner
    state = getattr(connection, "_h11_state", None)
    return state is not None and bool(state.trailing_data[0])
