"""Servers on loopback, connections to them, and a check that nothing stays open."""

import asyncio
import contextlib
import gc
import importlib.util
import socket
import ssl
import threading
import warnings

import pytest
import trustme

from afnio.models._sockets import SocketBackend

LIBRARY = importlib.import_module(
    "httpcore2" if importlib.util.find_spec("httpcore2") else "httpcore"
)
"""The HTTP library under the SDKs of this environment."""

plain_and_tls = pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
CA = trustme.CA()
CERTIFICATE = CA.issue_cert("localhost", "127.0.0.1")


def server_context(certificate=CERTIFICATE, newest=ssl.TLSVersion.TLSv1_3):
    """Build what a server encrypts with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    certificate.configure_cert(context)
    return context


def client_context(authority=CA):
    """Build what a client trusts."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@contextlib.contextmanager
def serving():
    """Start servers that hand each connection to a function; return their ports."""
    listeners, threads = [], []

    def one(sock, handler, context):
        with contextlib.suppress(OSError), sock:
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True)
            with sock:
                handler(sock)

    def accept(listener, handler, context):
        with contextlib.suppress(OSError):
            while True:
                args = (listener.accept()[0], handler, context)
                threads.append(threading.Thread(target=one, args=args, daemon=True))
                threads[-1].start()

    def start(handler, context=None):
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        args = (listeners[-1], handler, context)
        threads.append(threading.Thread(target=accept, args=args, daemon=True))
        threads[-1].start()
        return listeners[-1].getsockname()[1]

    try:
        yield start
    finally:
        for listener in listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in threads:
            thread.join(5)


def run(coroutine):
    """Run a coroutine; nothing may stay open, stay pending, or be logged by asyncio."""
    logged = []

    async def watched():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: logged.append(context))
        try:
            async with asyncio.timeout(10):
                return await coroutine
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1
            transports = loop._transports.values()
            assert all(transport.is_closing() for transport in transports)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = asyncio.run(watched())
        finally:
            gc.collect(1)
    assert [str(warning.message) for warning in warned] == []
    assert logged == []
    return result


def backend():
    """Build a backend on the library's."""
    return SocketBackend(LIBRARY, LIBRARY.AnyIOBackend())


@contextlib.asynccontextmanager
async def connected(port, context=None, host="localhost"):
    """Open a connection, encrypted if there is a context."""
    stream = await backend().connect_tcp(host, port, timeout=5)
    try:
        if context is not None:
            stream = await stream.start_tls(context, host, timeout=5)
        yield stream
    finally:
        await stream.aclose()


def receive(sock, size):
    """Read ``size`` bytes."""
    pieces = bytearray()
    while len(pieces) < size and (piece := sock.recv(65_536)):
        pieces += piece
    return bytes(pieces)
