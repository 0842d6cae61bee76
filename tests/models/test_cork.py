"""Requests leave in one piece, also encrypted ones; large bodies are not copied."""

import asyncio
import json
import socket
import socketserver
import threading

import pytest

from afnio.models._cork import CorkedBackend, CorkedStream
from afnio.models.openai import OpenAI


class Stream:
    """Stands for a stream of the HTTP library; notes what is sent."""

    socket = None

    def __init__(self, sent):
        self.sent = sent

    async def write(self, buffer, within_s=None):
        self.sent.append((bytes(buffer), within_s))

    async def read(self, max_bytes, _within_s=None):
        return b"answer"[:max_bytes]

    async def start_tls(self, _context):
        self.sent.append("tls")
        return Stream(self.sent)

    def get_extra_info(self, name):
        return self.socket if name == "socket" else f"{name}?"


class Backend:
    """Opens one stream."""

    name = "own"

    def __init__(self):
        self.sent = []

    async def connect_tcp(self, *_args, **_kwargs):
        return Stream(self.sent)


@pytest.fixture
def backend():
    """Make a backend that only notes."""
    return Backend()


def test_head_and_body_are_one_write(backend):
    """What is written goes out when the answer is to be read, and once only."""

    async def go():
        stream = await CorkedBackend(backend).connect_tcp("a", 80)
        await stream.write(b"head ", timeout=1)
        await stream.write(b"body", timeout=2)
        assert backend.sent == []
        assert [await stream.read(3), await stream.read(9)] == [b"ans", b"answer"]
        assert stream.get_extra_info("is_readable") == "is_readable?"

    asyncio.run(go())
    assert backend.sent == [(b"head body", 2)]
    assert CorkedBackend(backend).name == "own"


def test_large_body_goes_out_as_it_is_written(backend):
    """The head leaves before it, in order, and the body is not copied."""

    async def go():
        stream = await CorkedBackend(backend).connect_tcp("a", 80)
        await stream.write(b"head")
        await stream.write(b"x" * 70_000)
        await stream.write(b"end")
        await stream.read(9)

    asyncio.run(go())
    assert [piece for piece, _ in backend.sent] == [b"head", b"x" * 70_000, b"end"]


def test_encrypted_stream_is_corked_too(backend):
    """What a proxy is told leaves before the handshake."""

    async def go():
        stream = await CorkedBackend(backend).connect_tcp("a", 80)
        await stream.write(b"CONNECT")
        stream = await stream.start_tls(None)
        await stream.write(b"head ")
        await stream.write(b"body")
        await stream.read(9)

    asyncio.run(go())
    assert backend.sent == [(b"CONNECT", None), "tls", (b"head body", None)]


def test_readable_is_what_a_server_has_closed_or_sent():
    """The pool gives up such connections; so does one whose socket is closed."""
    for end in (lambda far, _: far.send(b"x"), lambda far, _: far.close(), close_near):
        near, far = socket.socketpair()
        with near, far:
            own = Stream([])
            own.socket = near
            stream = CorkedStream(own)
            assert stream.get_extra_info("is_readable") is False
            end(far, near)
            assert stream.get_extra_info("is_readable") is True


def close_near(_far, near):
    """Close the client's end."""
    near.close()


class Server(socketserver.BaseRequestHandler):
    """Answers whatever arrives, and notes what arrived at once."""

    def handle(self):
        while piece := self.request.recv(65_536):
            self.server.pieces.append(piece)
            body = self.server.body
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
            self.request.sendall(head.encode() + body)


@pytest.mark.loopback
def test_request_arrives_in_one_piece(ask, chat_body):
    """The SDK of this environment has the part that the cork is put on."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server) as server:
        server.pieces, server.body = [], json.dumps(chat_body()).encode()
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        client = OpenAI(api_key="k", base_url=url, model="m")
        for text in ("one", "two"):
            assert client.chat(ask(text)) == "Hello"
        client.close()
        server.shutdown()
    assert [piece.count(b"\r\n\r\n{") for piece in server.pieces] == [1, 1]
