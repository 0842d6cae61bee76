"""Encrypted connections: handshakes that fail, proxies, TLS in TLS."""

import asyncio
import select
import socket
import ssl
import threading

import pytest
import trustme

from tests.models.socket_helpers import (
    CA,
    LIBRARY,
    backend,
    client_context,
    connected,
    plain_and_tls,
    receive,
    run,
    server_context,
)

pytestmark = pytest.mark.loopback


OTHER_HOST = CA.issue_cert("other.example")


@pytest.mark.parametrize(
    ("handler", "certificate", "error", "words"),
    [
        (None, trustme.CA().issue_cert("localhost"), "ConnectError", "issuer"),
        (None, OTHER_HOST, "ConnectError", "not valid for 'localhost'"),
        (lambda _: None, None, "ConnectError", "clos|[Rr]eset"),
        (lambda sock: sock.recv(9_999), None, "ConnectError", "[Rr]eset"),
        (lambda sock: (sock.recv(9_999), sock.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")),
         None, "ConnectError", "wrong version"),
        (lambda sock: sock.recv(9_999) and sock.recv(9), None, "ConnectTimeout", None),
    ],
    ids=["unknown CA", "other host", "closes", "hears and closes", "plain", "silent"],
)  # fmt: skip
def test_handshakes_that_fail(serve, handler, certificate, error, words):
    """Each is the library's error, and the socket is closed."""
    context = None if certificate is None else server_context(certificate)
    port = serve(handler or (lambda sock: sock.recv(9)), context)

    async def go():
        stream = await backend().connect_tcp("localhost", port)
        with pytest.raises(getattr(LIBRARY, error), match=words):
            await stream.start_tls(client_context(), "localhost", timeout=0.15)

    run(go())


@pytest.mark.parametrize("who", ["server", "client"])
def test_connection_that_is_closed_before_or_in_the_handshake(serve, who):
    """By itself, asyncio would wait for the timeout, or return nothing."""
    port = serve(lambda sock: who == "client" and sock.recv(9_999) and sock.recv(9))

    async def go():
        stream = await backend().connect_tcp("localhost", port)
        while who == "server" and not stream._is_over:
            await asyncio.sleep(0.001)
        if who == "client":
            asyncio.get_running_loop().call_later(0.05, stream.abort)
        with pytest.raises(LIBRARY.ConnectError, match="closed before"):
            await stream.start_tls(client_context(), "localhost", timeout=5)

    run(go())


def relay(sock, leading=b""):
    """Act as a proxy that was told a port in two bytes."""
    port = int.from_bytes(receive_exactly(sock, 2), "big")
    sock.sendall(b"ok" + leading)
    with socket.create_connection(("127.0.0.1", port)) as far:
        near_fd = sock.fileno()
        while True:
            waiting = isinstance(sock, ssl.SSLSocket) and sock.pending()
            ready = [sock] if waiting else select.select([near_fd, far], [], [], 5)[0]
            source, target = (far, sock) if far in ready else (sock, far)
            if not (data := source.recv(65_536)):
                return
            target.sendall(data)


def receive_exactly(sock, size):
    """Read ``size`` bytes and none more."""
    return b"".join(sock.recv(1) for _ in range(size))


async def tunnelled(proxy, port, context, *, is_tls):
    """Ask a server through a proxy."""
    async with connected(proxy, client_context() if is_tls else None) as stream:
        await stream.write(port.to_bytes(2, "big"))
        assert await stream.read(2, timeout=5) == b"ok"
        await stream.start_tls(context, "localhost", timeout=5)
        await stream.write(b"hi" + bytes(100_000), timeout=5)
        return await stream.read(2, timeout=5)


@plain_and_tls
def test_proxies(serve, is_tls):
    """TLS goes through TLS too; what a proxy says before the handshake is not heard."""
    port = serve(lambda sock: sock.sendall(receive(sock, 100_002)), server_context())
    proxy = serve(
        lambda sock: relay(sock, b"HTTP/1.1 200 forged"),
        server_context() if is_tls else None,
    )
    context = client_context()
    assert run(tunnelled(proxy, port, context, is_tls=is_tls)) == b"hi"


@plain_and_tls
def test_certificate_behind_a_proxy(serve, is_tls):
    """Python 3.11 fails with a TypeError in TLS in TLS, and writes to its log."""
    port = serve(lambda sock: sock.recv(9), server_context())
    proxy = serve(relay, server_context() if is_tls else None)
    with pytest.raises(LIBRARY.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        run(tunnelled(proxy, port, client_context(trustme.CA()), is_tls=is_tls))


@plain_and_tls
def test_silence_behind_a_proxy(serve, is_tls):
    """The connection is closed at once; asyncio would wait for TLS to say goodbye."""
    over = threading.Event()
    proxy = serve(
        lambda sock: (receive_exactly(sock, 2), sock.sendall(b"ok"), over.wait(5)),
        server_context() if is_tls else None,
    )

    async def go():
        stream = await backend().connect_tcp("localhost", proxy, timeout=5)
        if is_tls:
            await stream.start_tls(client_context(), "localhost", timeout=5)
        await stream.write(b"xx")
        assert await stream.read(2, timeout=5) == b"ok"
        with pytest.raises(LIBRARY.ConnectTimeout):
            await stream.start_tls(client_context(), "localhost", timeout=0.05)

    try:
        run(go())
    finally:
        over.set()
