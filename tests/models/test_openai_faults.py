"""The OpenAI client under faults: the official SDK against a server that misbehaves."""

import socket
import threading

import pytest
from werkzeug import Response

from afnio._dispatch import spawn
from afnio.errors import (
    AuthError,
    BadRequestError,
    CancelledError,
    ConnectionFailedError,
    ContextLengthError,
    ModelTimeoutError,
    RateLimitError,
    ServerError,
)
from afnio.models import RetryPolicy
from afnio.models.openai import OpenAI

CHAT = "/v1/chat/completions"


@pytest.mark.loopback
def test_rate_limit_with_retry_after_is_obeyed(httpserver, make_openai, ask, chat_body):
    """A 429 is tried again after the time the server asked for."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    httpserver.expect_ordered_request(CHAT).respond_with_json(
        {"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.05"}
    )
    httpserver.expect_ordered_request(CHAT).respond_with_json(chat_body())
    client = make_openai(retry=RetryPolicy(sleep=sleep, uniform=lambda: 0.0, base_s=0))
    assert client.chat(ask()) == "Hello"
    assert waits == [0.05]


@pytest.mark.loopback
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_passing_faults_are_tried_again(
    httpserver, make_openai, ask, status, chat_body
):
    """Every retryable status is cured by the next attempt: ours, not the SDK's."""
    httpserver.expect_ordered_request(CHAT).respond_with_json({}, status=status)
    httpserver.expect_ordered_request(CHAT).respond_with_json(chat_body())
    assert make_openai().chat(ask()) == "Hello"
    assert len(httpserver.log) == 2


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"message": "bad temperature"}, BadRequestError),
        (
            401,
            {"message": "Incorrect API key provided: sk-test-0123456789abcdef"},
            AuthError,
        ),
        (403, {"message": "forbidden"}, AuthError),
        (404, {"message": "no such model"}, BadRequestError),
        (
            400,
            {"message": "too long", "code": "context_length_exceeded"},
            ContextLengthError,
        ),
        (429, {"message": "pay", "code": "insufficient_quota"}, RateLimitError),
        (501, {"message": "not here"}, ServerError),
    ],
)
def test_lasting_faults_are_raised_at_once(
    httpserver, make_openai, ask, status, error, kind, key
):
    """What asking again cannot cure is one request and an error without the key."""
    httpserver.expect_request(CHAT).respond_with_json({"error": error}, status=status)
    with pytest.raises(kind) as caught:
        make_openai().chat(ask())
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.model) == (status, "gpt-4o")
    assert key not in str(caught.value)
    assert len(httpserver.log) == 1


@pytest.mark.loopback
def test_server_decides_whether_to_retry(httpserver, make_openai, ask):
    """The x-should-retry header overrules the status."""
    httpserver.expect_request(CHAT).respond_with_json(
        {}, status=500, headers={"x-should-retry": "false"}
    )
    with pytest.raises(ServerError):
        make_openai().chat(ask())
    assert len(httpserver.log) == 1


@pytest.mark.loopback
def test_last_error_is_raised_after_all_attempts(httpserver, make_openai, ask):
    """Retries end; the error says status and attempts."""
    httpserver.expect_request(CHAT).respond_with_json(
        {"error": {"message": "on fire"}}, status=500
    )
    with pytest.raises(ServerError, match="HTTP 500: on fire") as caught:
        make_openai().chat(ask())
    assert len(httpserver.log) == 6
    assert caught.value.__notes__[0] == "gave up after attempt 6"


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        ('{"id": "c1", "choi', "application/json", "JSON"),
        ("<html>gateway</html>", "text/html", "gateway"),
        ("[]", "application/json", "malformed"),
    ],
)
def test_malformed_bodies_are_server_errors(
    httpserver, make_openai, ask, data, kind, said
):
    """Truncated and foreign bodies are tried again, then named."""
    httpserver.expect_request(CHAT).respond_with_data(data, content_type=kind)
    with pytest.raises(ServerError, match=said):
        make_openai(retry=RetryPolicy(base_s=0.0001, max_retries=1)).chat(ask())
    assert len(httpserver.log) == 2


@pytest.mark.loopback
def test_reply_without_choices_is_malformed(httpserver, make_openai, ask, chat_body):
    """A completion without any choice is tried again, then named."""
    httpserver.expect_request(CHAT).respond_with_json({**chat_body(), "choices": []})
    with pytest.raises(ServerError, match="no choices"):
        make_openai().chat(ask())
    assert len(httpserver.log) == 6


@pytest.mark.loopback
def test_reply_without_anything_is_malformed(httpserver, make_openai, ask, chat_body):
    """Null content without tool call or refusal is tried again, then named."""
    httpserver.expect_request(CHAT).respond_with_json(chat_body(None))
    with pytest.raises(ServerError, match="neither content"):
        make_openai().chat(ask())
    assert len(httpserver.log) == 6


@pytest.mark.loopback
def test_cut_off_before_the_first_word_is_a_reply(
    httpserver, make_openai, ask, chat_body
):
    """Null content is fine where max_tokens left no room for any."""
    httpserver.expect_request(CHAT).respond_with_json(chat_body(None, "length"))
    assert make_openai().chat(ask()) is None


@pytest.mark.loopback
def test_body_cut_off_on_the_wire_is_a_connection_error(httpserver, make_openai, ask):
    """A body shorter than announced is a failed connection."""

    def cut(_request):
        response = Response("{", content_type="application/json")
        response.headers["Content-Length"] = "500"
        response.automatically_set_content_length = False
        return response

    httpserver.expect_request(CHAT).respond_with_handler(cut)
    with pytest.raises((ConnectionFailedError, ServerError)) as caught:
        make_openai(retry=RetryPolicy(max_retries=0)).chat(ask())
    assert caught.value.retryable


@pytest.mark.loopback
def test_refused_connection_is_named(ask):
    """A port where nobody listens is a connection error that names the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1",
        model="gpt-4o",
        retry=RetryPolicy(base_s=0.0001),
    )
    with (
        pytest.warns(RuntimeWarning, match=f":{port}/v1 could not be reached; trying"),
        pytest.raises(ConnectionFailedError, match=str(port)),
    ):
        client.chat(ask())
    client.close()


@pytest.mark.loopback
def test_reset_connection_is_named(ask):
    """A server that hangs up without a word is a connection error."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            for _ in range(2):
                connection, _address = server.accept()
                connection.recv(10)
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        client = OpenAI(
            base_url=f"http://127.0.0.1:{server.getsockname()[1]}/v1",
            model="gpt-4o",
            retry=RetryPolicy(base_s=0.0001, max_retries=1),
        )
        with pytest.raises(ConnectionFailedError):
            client.chat(ask())
        client.close()
        thread.join()


@pytest.mark.loopback
def test_cancelling_a_call_closes_its_connection(ask):
    """A cancelled call does not leave the server working for nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        arrived, seen = threading.Event(), []

        def serve():
            connection, _address = server.accept()
            while chunk := connection.recv(65536):
                seen.append(chunk)
                arrived.set()
            connection.close()  # reached once the client hangs up

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        client = OpenAI(base_url=url, model="gpt-4o")
        call = spawn(client.achat(ask()))
        assert arrived.wait(30)
        call.cancel()
        with pytest.raises(CancelledError):
            call.result()
        thread.join(30)
        assert not thread.is_alive()
        client.close()


@pytest.mark.loopback
def test_hanging_server_times_out(httpserver, make_openai, ask):
    """A server that does not answer is given up after the timeout of each attempt."""
    enough = threading.Event()

    def hang(_request):
        enough.wait(30)
        return Response("{}")

    httpserver.expect_request(CHAT).respond_with_handler(hang)
    client = make_openai(timeout=0.05, retry=RetryPolicy(max_retries=0))
    with pytest.raises(ModelTimeoutError, match="in time"):
        client.chat(ask())
    enough.set()
