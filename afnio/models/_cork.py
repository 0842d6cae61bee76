"""Requests that leave in one piece.

The HTTP library writes the head of a request and its body one after the other: two
system calls, two wake-ups of whoever answers, and a turn of the event loop in between.
See ``docs/design/0007-transport.md``.
"""

from __future__ import annotations

import select
from typing import Any, Final

_PIECE_BYTES: Final = 65_536
"""What is longer goes out as it is written, without being copied into one piece."""


class CorkedBackend:
    """Opens streams, by way of the library's own backend, that write in one piece.

    Args:
        backend: What makes connections; it keeps making them.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> CorkedStream:
        """Open a connection."""
        return CorkedStream(await self._backend.connect_tcp(*args, **kwargs))


class CorkedStream:
    """Keeps what is written until the answer to it is to be read.

    Args:
        stream: The library's own stream, which does all else.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._socket = stream.get_extra_info("socket")
        self._poller = _poller(self._socket)
        self._kept: list[bytes] = []
        self._size = 0
        self._timeout: float | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name
    ) -> None:
        """Keep ``buffer``, unless there is much of it."""
        self._timeout = timeout
        if self._size + len(buffer) > _PIECE_BYTES:
            await self._flush()
            await self._stream.write(buffer, timeout)
        else:
            self._kept.append(buffer)
            self._size += len(buffer)

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name
    ) -> bytes:
        """Send what was kept, and read what comes."""
        await self._flush()
        received: bytes = await self._stream.read(max_bytes, timeout)
        return received

    def get_extra_info(self, info: str) -> Any:
        """Tell about the connection; whether it is readable, in one system call.

        The pool asks that before each request. The library's own answer collects all
        that is known of the socket first.
        """
        if info != "is_readable" or self._poller is None:
            return self._stream.get_extra_info(info)
        return self._socket.fileno() < 0 or bool(self._poller.poll(0))

    async def start_tls(self, *args: Any, **kwargs: Any) -> CorkedStream:
        """Go on encrypted; what is kept is one piece before it is encrypted."""
        await self._flush()
        return CorkedStream(await self._stream.start_tls(*args, **kwargs))

    async def _flush(self) -> None:
        if self._kept:
            piece = b"".join(self._kept)
            self._kept.clear()
            self._size = 0
            await self._stream.write(piece, self._timeout)


def _poller(socket: Any) -> Any:
    """Return what tells whether ``socket`` is readable; None where there is no poll."""
    if socket is None or not hasattr(select, "poll"):
        return None
    poller = select.poll()
    poller.register(socket.fileno(), select.POLLIN)
    return poller
