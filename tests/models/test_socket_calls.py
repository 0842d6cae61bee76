"""Calls through the official SDKs on our own connections."""

import json
import socket
import ssl
import threading

import pytest

from afnio._dispatch import run_sync
from afnio.errors import BadRequestError, ConnectionFailedError, ModelTimeoutError
from afnio.models import RetryPolicy
from afnio.models._sockets import SocketStream
from afnio.models.anthropic import Anthropic
from afnio.models.openai import OpenAI
from tests.models.socket_helpers import CA, server_context

pytestmark = pytest.mark.loopback

ANSWERS = {
    OpenAI: {
        "choices": [{"finish_reason": "stop", "message": {"content": "Hello"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    },
    Anthropic: {
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}
both = pytest.mark.parametrize("kind", ANSWERS)


class Server:
    """Answers each request; notes connections and what arrived at once."""

    def __init__(self, kind, status="200 OK"):
        self.connections, self.pieces = 0, []
        body = json.dumps(ANSWERS[kind]).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n"
        self.answer = head.encode() + body

    def __call__(self, sock):
        self.connections += 1
        while piece := sock.recv(65_536):
            self.pieces.append(piece)
            sock.sendall(self.answer)


@pytest.fixture
def make(ask, monkeypatch, tmp_path):
    """Make clients that trust our servers, and close them; return a way to ask."""
    trusted = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(trusted)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    clients = []

    def client(kind, port, scheme="http", **settings):
        url = f"{scheme}://localhost:{port}/v1"
        settings.setdefault("retry", RetryPolicy(max_retries=0))
        clients.append(kind(api_key="k", base_url=url, model="m", **settings))
        return clients[-1]

    yield client
    for made in clients:
        made.close()


def wait_for_close(sock):
    """Read until the client closes."""
    while sock.recv(65_536):
        pass


def talk(client, ask, text="Hi"):
    """Ask for a short answer."""
    return client.chat(ask(text), max_tokens=9)


def stream_of(client):
    """Return the stream of a client's idle connection."""

    async def find():
        sdk = await client._sdk()
        ((connection,),) = sdk._client._transport._pool._idle.values()
        return connection._connection._network_stream

    return run_sync(find())


@both
@pytest.mark.parametrize(
    "newest", [None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
)
def test_connection_is_reused_and_requests_arrive_in_one_piece(
    serve, make, ask, kind, newest
):
    """Encrypted or not; the tickets of TLS 1.3 are no reason to connect anew."""
    server = Server(kind)
    context = None if newest is None else server_context(newest=newest)
    port = serve(server, context)
    client = make(kind, port, "http" if newest is None else "https")
    assert [talk(client, ask) for _ in range(3)] == ["Hello"] * 3
    assert server.connections == 1
    assert [piece.count(b"\r\n\r\n{") for piece in server.pieces] == [1, 1, 1]


def test_anthropics_socket_options_are_set(serve, make, ask):
    """Its SDK asks for TCP's keep-alive, against proxies that forget a connection."""
    client = make(Anthropic, serve(Server(Anthropic)))
    talk(client, ask)
    stream = stream_of(client)
    assert isinstance(stream, SocketStream)
    kept = stream.get_extra_info("socket")
    assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


@both
def test_connection_closed_while_idle(serve, make, ask, kind):
    """The next call takes another, and does not fail."""
    server, closed = Server(kind), threading.Semaphore(0)

    def once(sock):
        server.connections += 1
        sock.recv(65_536)
        sock.sendall(server.answer)
        sock.shutdown(socket.SHUT_RDWR)
        closed.release()

    client = make(kind, serve(once))
    for _ in range(3):
        assert talk(client, ask) == "Hello"
        assert closed.acquire(timeout=5)
    assert server.connections == 3


@both
def test_server_that_refuses_a_long_request(serve, make, ask, kind):
    """It answers before it has read all; the call must not look like a lost network."""
    server = Server(kind, "413 Too Large")

    def refuse(sock):
        sock.recv(1)
        sock.sendall(server.answer)
        sock.shutdown(socket.SHUT_WR)
        wait_for_close(sock)

    client = make(kind, serve(refuse))
    with pytest.raises(BadRequestError, match="413"):
        talk(client, ask, "x" * 20_000_000)


def test_certificate_that_nobody_trusts(serve, make, ask, monkeypatch):
    """The error says so, and what to do; trying again would not help."""
    client = make(OpenAI, serve(Server(OpenAI), server_context()), "https")
    monkeypatch.delenv("SSL_CERT_FILE")
    words = r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"
    with pytest.raises(ConnectionFailedError, match=words) as caught:
        talk(client, ask)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
)
def test_server_that_stops_answering(serve, make, ask, answer):
    """In the head, or in the body."""
    port = serve(lambda sock: (sock.sendall(answer), wait_for_close(sock)))
    with pytest.raises(ModelTimeoutError):
        talk(make(OpenAI, port, timeout=0.2), ask)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
)
def test_server_that_goes_away(serve, make, ask, answer):
    """Before the answer, or within; worth another attempt."""
    port = serve(lambda sock: (sock.recv(65_536), sock.sendall(answer)))
    with pytest.raises(ConnectionFailedError) as caught:
        talk(make(OpenAI, port), ask)
    assert caught.value.retryable


def test_stream_that_is_dropped_closes_its_connection(serve, make, ask):
    """The server does not go on sending to nobody."""
    gone = threading.Event()
    chunk = {"choices": [{"index": 0, "delta": {"content": "word "}}]}

    def endless(sock):
        sock.recv(65_536)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        try:
            while True:
                sock.sendall(b"data: %s\n\n" % json.dumps(chunk).encode())
        except OSError:
            gone.set()

    stream = make(OpenAI, serve(endless)).stream(ask())
    assert next(iter(stream)) == "word "
    stream.close()
    assert gone.wait(5)
