"""Connections on asyncio's own transports, for the HTTP library under the SDKs.

The library's own go through `anyio`, which opens a cancel scope for each read and write
and gives other tasks a turn before each. These do without, and let a request leave in
one piece, where the library writes its head and its body one after the other. See
``docs/design/0007-transport.md``.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import ssl

_PIECE_BYTES: Final = 65_536
"""What is longer is not copied into one piece; it goes out in pieces of this size."""

_UNREAD_BYTES: Final = 262_144
"""What may wait to be read before the peer is asked to wait."""


class SocketBackend:
    """Puts our streams on the connections that the library's backend makes.

    Args:
        library: The HTTP library's module, whose errors are raised.
        backend: Its own backend.
    """

    def __init__(self, library: Any, backend: Any) -> None:
        self._library = library
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> Any:
        """Connect as the library does, then take over what it has connected.

        Loops of others, such as uvloop, keep the library's streams.

        Raises:
            ConnectTimeout: The library's; it took longer than ``timeout`` seconds.
            ConnectError: The library's; nobody answered at any address.
        """
        stream = await self._backend.connect_tcp(*args, **kwargs)
        transport = getattr(getattr(stream, "_stream", None), "_transport", None)
        if not isinstance(transport, asyncio.Transport):
            return stream
        ours = SocketStream(self._library)
        ours.connection_made(transport)
        transport.set_write_buffer_limits()
        transport.set_protocol(ours)
        transport.resume_reading()
        return ours


class SocketStream(asyncio.Protocol):
    """One connection: a network stream of the HTTP library.

    What is written is kept until the answer to it is to be read, so that a request
    leaves in one piece.

    Args:
        library: The HTTP library's module, whose errors are raised.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._tcp: Any = None
        self._transport: Any = None  # the same, or the innermost TLS
        self._received = b""
        self._is_over = False
        self._fault: BaseException | None = None
        self._must_wait = False
        self._waiter: asyncio.Future[None] | None = None
        self._kept: list[bytes] = []
        self._size = 0
        self._write_timeout: float | None = None

    # What the network stream does.

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name
    ) -> bytes:
        """Send what was kept, and return what has come; nothing at the end.

        Raises:
            ReadTimeout: The library's; nothing came for ``timeout`` seconds.
            ReadError: The library's; the connection broke.
            WriteTimeout: The library's; the peer did not take what was kept.
        """
        if self._kept:
            await self._flush()
        while not self._received and not self._is_over:
            await self._wait(timeout, self._library.ReadTimeout)
        if not self._received and self._fault is not None:
            raise self._library.ReadError(str(self._fault)) from self._fault
        was_full = len(self._received) > _UNREAD_BYTES
        read, self._received = self._received[:max_bytes], self._received[max_bytes:]
        if was_full and len(self._received) <= _UNREAD_BYTES:
            self._transport.resume_reading()
        return read

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name
    ) -> None:
        """Keep ``buffer``, unless there is much of it.

        Raises:
            WriteError: The library's; the connection is closed.
            WriteTimeout: The library's; the peer took nothing for ``timeout`` seconds.
        """
        if self._transport.is_closing():
            fault = self._fault
            raise self._library.WriteError(str(fault or "closed")) from fault
        self._write_timeout = timeout
        self._kept.append(buffer)
        self._size += len(buffer)
        if self._size > _PIECE_BYTES:
            await self._flush()

    async def aclose(self) -> None:
        """Close at once; what was not sent is lost."""
        self.abort()
        await asyncio.sleep(0)  # until the socket is closed

    def abort(self) -> None:
        """Close, if there is something to close; asyncio's own fails otherwise."""
        tcp = self._tcp
        if tcp is not None and tcp.get_extra_info("socket").fileno() != -1:
            tcp.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name
    ) -> SocketStream:
        """Go on encrypted.

        Raises:
            ConnectTimeout: The library's; it took longer than ``timeout`` seconds.
            ConnectError: The library's; the certificate does not hold, say.
        """
        library = self._library
        try:
            async with asyncio.timeout(timeout):
                await self._encrypt(ssl_context, server_hostname)
        except BaseException as error:
            self.abort()
            if isinstance(error, TimeoutError):
                raise library.ConnectTimeout(str(error)) from error
            if isinstance(error, (OSError, UnicodeError)):  # no name of a host
                raise library.ConnectError(
                    str(error) or type(error).__name__
                ) from error
            raise
        return self

    async def _encrypt(self, context: ssl.SSLContext, host: str | None) -> None:
        await self._flush()
        self._received = b""  # whoever sent it, has not yet proved who it is
        outer, inner = self._transport, None
        if outer is not self._tcp:  # TLS in TLS; Python 3.11's fails with a TypeError
            outer._force_close = lambda _fault: self._tcp.abort()
        if not outer.is_closing():
            inner = await asyncio.get_running_loop().start_tls(
                outer, self, context, server_hostname=host
            )
        if inner is None:
            raise ConnectionResetError("closed before the TLS handshake was over")
        self._transport = inner

    def get_extra_info(self, info: str) -> Any:
        """Tell about the connection; ``is_readable`` is asked before each request.

        An idle connection that is readable was closed by the server, or has brought
        what nobody asked for.
        """
        if info == "is_readable":
            return self._is_readable()
        return self._transport.get_extra_info(_INFO.get(info, info))

    def _is_readable(self) -> bool:
        if self._received or self._is_over or self._transport.is_closing():
            return True
        if not hasattr(select, "poll"):
            return False
        poller = select.poll()  # what has come since the loop looked
        poller.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return bool(poller.poll(0))

    async def _flush(self) -> None:
        """Send what was kept, unless nobody is there any more to take it."""
        pieces, size = self._kept, self._size
        self._kept, self._size = [], 0
        if self._transport.is_closing():
            return  # the server may have said why, before it went
        if size <= _PIECE_BYTES:
            self._transport.write(b"".join(pieces))
            await self._drained()
            return
        for piece in _cut(pieces):
            self._transport.write(piece)
            await asyncio.sleep(0)  # the server may answer before it has got all
            await self._drained()
            if self._is_over:
                return

    async def _drained(self) -> None:
        while self._must_wait and not self._is_over:
            await self._wait(self._write_timeout, self._library.WriteTimeout)

    async def _wait(self, seconds: float | None, late: type[Exception]) -> None:
        """Wait until something happens on the connection."""
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = None
        if seconds is not None:
            timer = loop.call_later(seconds, _expire, waiter, late)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the transport."""
        self._tcp = self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what has come until it is read."""
        self._received += data
        if len(self._received) > _UNREAD_BYTES:
            self._transport.pause_reading()
        self._go_on()

    def eof_received(self) -> None:
        """Take note that nothing more will come; asyncio closes the connection."""
        self._is_over = True
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the connection is closed."""
        if not self._is_over:  # all has come, whatever happened afterwards
            self._fault = exc
        self._is_over = True
        self._go_on()

    def pause_writing(self) -> None:
        """Take note that the peer does not keep up."""
        self._must_wait = True

    def resume_writing(self) -> None:
        """Take note that there is room again."""
        self._must_wait = False
        self._go_on()

    def _go_on(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


_INFO: Final = {"client_addr": "sockname", "server_addr": "peername"}
"""Names of the library's, and what asyncio calls them."""


def _expire(waiter: asyncio.Future[None], late: type[Exception]) -> None:
    if not waiter.done():
        waiter.set_exception(late("timed out"))


def _cut(pieces: Iterable[bytes]) -> Iterator[memoryview]:
    """Cut what is long: TLS would take all of it at once, and say that it is sent."""
    for piece in pieces:
        for start in range(0, len(piece), _PIECE_BYTES):
            yield memoryview(piece)[start : start + _PIECE_BYTES]
