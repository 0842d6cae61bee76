"""Connections on asyncio's transports: whole, encrypted, in time, never leaked."""

import asyncio
import contextlib
import os
import select
import socket
import struct
import threading
import time
from types import SimpleNamespace

import pytest

from afnio.models._sockets import SocketBackend, SocketStream
from tests.models.socket_helpers import (
    LIBRARY,
    client_context,
    connected,
    plain_and_tls,
    receive,
    run,
    server_context,
)

pytestmark = pytest.mark.loopback

BIG = os.urandom(5_000_000)


async def read_all(stream):
    """Read to the end."""
    pieces = []
    while piece := await stream.read(65_536, timeout=5):
        pieces.append(piece)
    return b"".join(pieces)


def reset(sock):
    """Close with a reset instead of an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@plain_and_tls
def test_what_is_written_arrives_in_order_and_the_answer_too(serve, is_tls):
    """Head, large body and end, and as much back."""
    sent = b"head" + BIG * 2 + b"end"

    def echo(sock):
        time.sleep(0.05)  # until the client has to wait
        sock.sendall(receive(sock, len(sent)))

    port = serve(echo, server_context() if is_tls else None)

    async def go():
        async with connected(port, client_context() if is_tls else None) as stream:
            for piece in (b"head", BIG * 2, b"", b"end"):
                await stream.write(piece, timeout=5)
            assert (stream.get_extra_info("ssl_object") is not None) == is_tls
            assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
            return await read_all(stream)

    assert run(go()) == sent


@plain_and_tls
def test_unread_answer_makes_the_server_wait(serve, is_tls):
    """Memory stays bounded, and nothing is lost, also after the server has gone."""
    port = serve(
        lambda sock: sock.sendall(BIG), server_context() if is_tls else None
    )  # fmt: skip

    async def go():
        async with connected(port, client_context() if is_tls else None) as stream:
            first = await stream.read(3, timeout=5)
            await asyncio.sleep(0.1)
            assert len(stream._received) < 1_000_000
            return first + await read_all(stream)

    assert run(go()) == BIG


@plain_and_tls
def test_peer_that_does_not_read(serve, is_tls):
    """TLS takes everything at once, and would wait for the answer instead."""
    over = threading.Event()
    port = serve(lambda _: over.wait(5), server_context() if is_tls else None)

    async def go():
        async with connected(port, client_context() if is_tls else None) as stream:
            with pytest.raises(LIBRARY.WriteTimeout):
                await stream.write(BIG * 3, timeout=0.1)
        over.set()

    run(go())


def test_peer_that_does_not_answer(serve):
    """The timeout begins anew with each read; what comes later is not lost."""
    go_on = threading.Event()
    port = serve(lambda sock: (go_on.wait(5), sock.sendall(b"late")))

    async def go():
        async with connected(port) as stream:
            with pytest.raises(LIBRARY.ReadTimeout):
                await stream.read(9, timeout=0.01)
            go_on.set()
            return [await stream.read(2, timeout=5), await read_all(stream)]

    assert run(go()) == [b"la", b"te"]


def test_connection_that_breaks(serve):
    """A reset is an error, an end is none; what came before is read first."""
    go_on = threading.Event()
    port = serve(lambda sock: (sock.recv(9), sock.sendall(b"x"), go_on.wait(5),
                               reset(sock)))  # fmt: skip

    async def go():
        async with connected(port) as stream:
            await stream.write(b"hi")
            assert await stream.read(9, timeout=5) == b"x"
            go_on.set()
            with pytest.raises(LIBRARY.ReadError, match="reset"):
                await stream.read(9, timeout=5)
            with pytest.raises(LIBRARY.WriteError, match="reset"):
                await stream.write(b"more")

    run(go())


def test_server_says_why_before_it_goes(serve):
    """What was not sent any more does not hide the server's words."""
    go_on = threading.Event()
    port = serve(lambda sock: (go_on.wait(5), sock.sendall(b"no")))

    async def go():
        async with connected(port) as stream:
            await stream.write(b"kept")
            go_on.set()
            while not stream._is_over:
                await asyncio.sleep(0.001)
            assert await read_all(stream) == b"no"
            with pytest.raises(LIBRARY.WriteError, match="closed"):
                await stream.write(b"more")

    run(go())


def test_reset_while_sending_ends_the_sending(serve, caplog):
    """The rest is not written to a socket that is closed."""
    port = serve(lambda sock: (sock.recv(9), time.sleep(0.02), reset(sock)))

    async def go():
        async with connected(port) as stream:
            await stream.write(BIG * 3, timeout=5)
            with pytest.raises(LIBRARY.ReadError):
                await stream.read(9, timeout=5)

    run(go())
    assert caplog.records == []  # asyncio warns of each piece


def test_others_have_their_turns_while_a_long_request_is_sent():
    """So an answer that comes early is read before the connection breaks."""
    turns, pieces = [], []
    stream = SocketStream(LIBRARY)
    stream.connection_made(
        SimpleNamespace(
            write=lambda piece: pieces.append((len(turns), bytes(piece))),
            is_closing=lambda: False,
        )
    )

    async def go():
        task = asyncio.create_task(stream.write(BIG))
        while not task.done():
            turns.append(None)
            await asyncio.sleep(0)

    asyncio.run(go())
    assert b"".join(piece for _, piece in pieces) == BIG
    assert len({turn for turn, _ in pieces}) == len(pieces) > 9


def test_what_breaks_after_the_end_is_no_error():
    """An answer that ends with its connection is whole by then."""
    stream = SocketStream(LIBRARY)
    stream.data_received(bytearray(b"all"))
    stream.eof_received()
    stream.connection_lost(OSError("reset"))

    async def go():
        return [await stream.read(9), await stream.read(9)]

    assert asyncio.run(go()) == [b"all", b""]
    assert type(stream._received) is bytes


@plain_and_tls
def test_server_that_ends_its_half_while_it_is_sent_to(serve, is_tls):
    """Once the rest is sent, asyncio closes, and fails when it is to close again."""
    is_full, go_on = threading.Event(), threading.Event()

    def handler(sock):
        is_full.wait(5)
        sock.shutdown(socket.SHUT_WR)
        go_on.wait(5)
        receive(sock, len(BIG) * 4)

    port = serve(handler, server_context() if is_tls else None)

    async def go():
        async with connected(port, client_context() if is_tls else None) as stream:
            writing = asyncio.create_task(stream.write(BIG * 3, timeout=5))
            while not stream._must_wait:
                await asyncio.sleep(0.001)
            is_full.set()
            await writing
            go_on.set()
            while stream._tcp.get_extra_info("socket").fileno() != -1:
                await asyncio.sleep(0.001)
            assert await stream.read(9, timeout=5) == b""

    run(go())


@pytest.mark.parametrize("ending", ["sends", "closes", "near"])
@pytest.mark.parametrize("has_poll", [True, False])
def test_readable_is_what_a_server_has_closed_or_sent(
    serve, monkeypatch, ending, has_poll
):
    """The pool gives up such connections; so does one whose socket is closed."""
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    go_on = threading.Event()
    port = serve(lambda sock: (go_on.wait(5), ending == "sends" and sock.send(b"x"),
                               ending == "sends" and sock.recv(9)))  # fmt: skip

    async def go():
        async with connected(port) as stream:
            assert stream.get_extra_info("is_readable") is False
            go_on.set()
            if ending == "near":
                stream.abort()
            else:  # the loop has not looked yet
                select.select([stream.get_extra_info("socket")], [], [], 5)
                assert stream.get_extra_info("is_readable") is has_poll
            await asyncio.sleep(0.02)
            assert stream.get_extra_info("is_readable") is True

    run(go())


@plain_and_tls
def test_cancelling_at_any_step_leaves_nothing_open(serve, is_tls):
    """Cancelled after each turn of the loop, from the name to the answer."""
    port = serve(lambda sock: sock.sendall(receive(sock, 2)),
                 server_context() if is_tls else None)  # fmt: skip
    context = client_context() if is_tls else None

    async def ask():
        async with connected(port, context) as stream:
            await stream.write(b"hi")
            return await stream.read(9, timeout=5)

    async def go():
        for turns in range(500):
            task = asyncio.create_task(ask())
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(0.0005)  # noqa: ASYNC251 - the server's turn
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await task, turns
        return None

    assert run(go())[0] == b"hi"


@pytest.mark.parametrize("inner", [None, SimpleNamespace(_transport="of uvloop")])
def test_streams_made_otherwise_stay_as_they_are(inner):
    """What is no transport of asyncio's is not taken over; the rest is passed on."""
    made, asked = SimpleNamespace(_stream=inner), []

    async def connect_tcp(*args, **kwargs):
        asked.append((args, kwargs))
        return made

    own = SimpleNamespace(connect_tcp=connect_tcp, name="x")
    backend = SocketBackend(LIBRARY, own)
    assert asyncio.run(backend.connect_tcp("localhost", 1, timeout=2)) is made
    assert asked == [(("localhost", 1), {"timeout": 2})]
    assert backend.name == "x"


def test_the_librarys_streams_are_taken_over(serve):
    """Or calls would be slower, and nothing else would tell."""
    port = serve(lambda sock: sock.recv(9))

    async def go():
        async with connected(port) as stream:
            return type(stream)

    assert run(go()) is SocketStream
