"""The OpenAI client: keys, requests as sent, replies as read, and faults injected.

The official SDK talks to a real HTTP server on loopback.
"""

import json
import socket
import subprocess
import sys
import threading
import traceback

import pytest
from pydantic import BaseModel
from werkzeug import Response

from afnio._dispatch import gather, run_sync
from afnio.errors import (
    AuthError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    InputTypeError,
    InputValueError,
    ModelError,
    ModelTimeoutError,
    RateLimitError,
    ReplyError,
    ServerError,
)
from afnio.models import ReplyCache, RetryPolicy, Usage, use_cache
from afnio.models.openai import AsyncOpenAI, OpenAI

KEY = "sk-test-0123456789abcdef"
CHAT = "/v1/chat/completions"


class Word(BaseModel):
    word: str
    count: int = 1


def body(content="Hello", finish="stop", **message):
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-11-20",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 10,
            "total_tokens": 1010,
            "prompt_tokens_details": {"cached_tokens": 200, "audio_tokens": None},
            "completion_tokens_details": None,
        },
    }


@pytest.fixture
def make(httpserver):
    """Make clients of the loopback server, and close them."""
    clients = []

    def build(kind=OpenAI, **settings):
        settings.setdefault("retry", RetryPolicy(base_s=0.0001))
        clients.append(
            kind(
                api_key=KEY,
                base_url=httpserver.url_for("/v1"),
                model="gpt-4o",
                **settings,
            )
        )
        return clients[-1]

    yield build
    for client in clients:
        client.close()


def test_import_and_construction_load_no_sdk():
    """Neither the module nor a client imports the SDK before the first call."""
    code = (
        "import sys, afnio.models.openai, afnio.models.anthropic\n"
        "afnio.models.openai.OpenAI(api_key='k')\n"
        "afnio.models.anthropic.Anthropic(api_key='k')\n"
        "heavy = {'openai', 'anthropic', 'httpx2', 'genai_prices', 'xllamacpp'}\n"
        "sys.exit(sorted(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_missing_key_is_an_error():
    """ML09: without a key, the constructor names the variable."""
    with pytest.raises(AuthError, match="OPENAI_API_KEY"):
        OpenAI()


def test_servers_of_one_s_own_need_no_key():
    """A base URL is enough."""
    assert OpenAI(base_url="http://127.0.0.1:1/v1").endpoint == "http://127.0.0.1:1/v1"


def test_settings_are_described_without_secrets():
    """The config has settings as JSON data, and digests for headers."""
    client = OpenAI(
        api_key=KEY, organization="org", default_headers={"X-Token": "hush-hush"}
    )
    config = json.dumps(client.get_config())
    assert "org" in config
    assert "hush" not in config
    assert KEY not in config + repr(client) + str(vars(client))


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
@pytest.mark.loopback
def test_reply_is_read_in_full(httpserver, make, ask, kind):
    """Text, usage, cost, model and stop reason arrive, under both names."""
    httpserver.expect_request(CHAT).respond_with_json(
        body(), headers={"x-request-id": "req-1"}
    )
    client = make(kind)

    reply = run_sync(client.agenerate(ask()))

    assert (reply.text, reply.stop_reason) == ("Hello", "end_turn")
    assert (reply.model, reply.request_id) == ("gpt-4o-2024-11-20", "req-1")
    assert reply.usage.cached_tokens == 200
    assert float(reply.usage.cost_usd) == pytest.approx(0.00235)
    assert client.get_usage()["cost"]["amount"] == pytest.approx(0.00235)


@pytest.mark.loopback
def test_arguments_are_sent_verbatim(httpserver, make, ask):
    """What the caller passes is what the server gets, extras included."""
    httpserver.expect_request(CHAT).respond_with_json(body('{"word": "w"}'))
    client = make(organization="org-1", default_headers={"X-Mine": "1"})
    client.chat(
        messages=ask(),
        model="gpt-4o-mini",
        temperature=0.5,
        stop=["x"],
        seed=7,
        response_format=Word,
        extra_body={"top_k": 3},
        extra_headers={"X-Extra": "2"},
    )
    request = httpserver.log[0][0]
    sent = request.json
    form = sent.pop("response_format")
    assert sent == {
        "messages": ask(),
        "model": "gpt-4o-mini",
        "temperature": 0.5,
        "stop": ["x"],
        "seed": 7,
        "top_k": 3,
    }
    assert form["json_schema"]["schema"]["required"] == ["word", "count"]
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["OpenAI-Organization"] == "org-1"
    assert (request.headers["X-Mine"], request.headers["X-Extra"]) == ("1", "2")


@pytest.mark.loopback
def test_given_key_wins_over_the_environment(httpserver, make, ask, monkeypatch):
    """ML12: api_key beats the variable; without it the variable counts."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-env-123456")
    httpserver.expect_request(CHAT).respond_with_json(body())
    make().chat(ask())
    from_env = OpenAI(base_url=httpserver.url_for("/v1"), model="gpt-4o")
    from_env.chat(ask())
    from_env.close()
    seen = [request.headers["Authorization"] for request, _ in httpserver.log]
    assert seen == [f"Bearer {KEY}", "Bearer sk-from-env-123456"]


@pytest.mark.loopback
def test_key_may_be_a_function(httpserver, ask):
    """A function is asked for the key when a call is made."""
    httpserver.expect_request(CHAT).respond_with_json(body())
    client = OpenAI(
        api_key=lambda: "sk-fresh-123456", base_url=httpserver.url_for("/v1"), model="m"
    )
    client.set_price("m", input=0, output=0)
    client.chat(ask())
    client.close()
    assert httpserver.log[0][0].headers["Authorization"] == "Bearer sk-fresh-123456"


@pytest.mark.loopback
def test_pydantic_reply_is_parsed(httpserver, make, ask):
    """A class as response_format gives an instance."""
    httpserver.expect_request(CHAT).respond_with_json(body('{"word": "w", "count": 2}'))
    reply = run_sync(make().agenerate(ask(), response_format=Word))
    assert reply.parsed == Word(word="w", count=2)


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "content_filter"),
        ("model_sneezed", "model_sneezed"),
    ],
)
def test_stop_reasons_are_ours_or_verbatim(httpserver, make, ask, finish, reason):
    """Known reasons are translated, unknown ones passed on."""
    httpserver.expect_request(CHAT).respond_with_json(body(finish=finish))
    assert run_sync(make().agenerate(ask())).stop_reason == reason


@pytest.mark.loopback
def test_tool_calls_are_parsed(httpserver, make, ask):
    """A tool call has its arguments as an object, and no text."""
    call = {
        "id": "t1",
        "type": "function",
        "function": {"name": "look", "arguments": '{"at": 3}'},
    }
    httpserver.expect_request(CHAT).respond_with_json(
        body(None, "tool_calls", tool_calls=[call])
    )
    reply = run_sync(make().agenerate(ask()))
    assert (reply.text, reply.stop_reason) == (None, "tool_use")
    assert (reply.tool_calls[0].name, reply.tool_calls[0].arguments) == (
        "look",
        {"at": 3},
    )


@pytest.mark.loopback
def test_malformed_tool_arguments_are_an_error(httpserver, make, ask):
    """Arguments that are no JSON are named, with the tool."""
    call = {
        "id": "t1",
        "type": "function",
        "function": {"name": "look", "arguments": "{"},
    }
    httpserver.expect_request(CHAT).respond_with_json(
        body(None, "tool_calls", tool_calls=[call])
    )
    with pytest.raises(ReplyError, match="tool 'look'"):
        make().chat(ask())


@pytest.mark.loopback
def test_refusal_is_no_text(httpserver, make, ask):
    """A refusal has its words apart, and a reason of its own."""
    httpserver.expect_request(CHAT).respond_with_json(body(None, refusal="I won't."))
    reply = run_sync(make().agenerate(ask()))
    assert (reply.text, reply.refusal, reply.stop_reason) == (
        None,
        "I won't.",
        "refusal",
    )
    assert make().chat(ask()) is None


@pytest.mark.loopback
def test_embeddings_and_completions_work(httpserver, make):
    """Texts are embedded in order and continued, with usage."""
    rows = [{"object": "embedding", "index": i, "embedding": [i, 0.5]} for i in (1, 0)]
    httpserver.expect_request("/v1/embeddings").respond_with_json(
        {
            "object": "list",
            "data": rows,
            "model": "e",
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        }
    )
    httpserver.expect_request("/v1/completions").respond_with_json(
        {
            "id": "1",
            "object": "text_completion",
            "created": 1,
            "model": "c",
            "choices": [
                {
                    "index": 0,
                    "text": " world",
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
        }
    )
    client = make()
    client.set_price("e", input=0, output=0)
    client.set_price("c", input=0, output=0)
    assert client.embed(["a", "b"], model="e", encoding_format="float") == [
        [0.0, 0.5],
        [1.0, 0.5],
    ]
    assert client.complete("Hello", model="c") == " world"
    assert client.embed([]) == []
    assert client.get_usage()["prompt_tokens"] == 4
    with pytest.raises(InputTypeError, match="list of texts"):
        client.embed("a")


@pytest.mark.loopback
def test_embeddings_can_be_cached(httpserver, make, tmp_path):
    """Vectors come back from a cache as they were."""
    row = {"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}
    httpserver.expect_ordered_request("/v1/embeddings").respond_with_json(
        {
            "object": "list",
            "data": [row],
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
    )
    ask = {"model": "text-embedding-3-small", "encoding_format": "float"}
    for _ in range(2):
        with use_cache(ReplyCache(tmp_path / "c.sqlite")):
            assert make().embed(["a"], **ask) == [[0.25, 0.5]]


@pytest.mark.loopback
def test_rate_limit_with_retry_after_is_obeyed(httpserver, make, ask):
    """A 429 is tried again after the time the server asked for."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    httpserver.expect_ordered_request(CHAT).respond_with_json(
        {"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.05"}
    )
    httpserver.expect_ordered_request(CHAT).respond_with_json(body())
    client = make(retry=RetryPolicy(sleep=sleep, uniform=lambda: 0.0, base_s=0))
    assert client.chat(ask()) == "Hello"
    assert waits == [0.05]


@pytest.mark.loopback
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_passing_faults_are_tried_again(httpserver, make, ask, status):
    """Every retryable status is cured by the next attempt, made by us and not the SDK."""
    httpserver.expect_ordered_request(CHAT).respond_with_json({}, status=status)
    httpserver.expect_ordered_request(CHAT).respond_with_json(body())
    assert make().chat(ask()) == "Hello"
    assert len(httpserver.log) == 2


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"message": "bad temperature"}, BadRequestError),
        (401, {"message": f"Incorrect API key provided: {KEY}"}, AuthError),
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
def test_lasting_faults_are_raised_at_once(httpserver, make, ask, status, error, kind):
    """What asking again cannot cure is one request and a clear error, without the key."""
    httpserver.expect_request(CHAT).respond_with_json({"error": error}, status=status)
    with pytest.raises(kind) as caught:
        make().chat(ask())
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.model) == (status, "gpt-4o")
    assert KEY not in str(caught.value)
    assert len(httpserver.log) == 1


@pytest.mark.loopback
def test_server_decides_whether_to_retry(httpserver, make, ask):
    """The x-should-retry header overrules the status."""
    httpserver.expect_request(CHAT).respond_with_json(
        {}, status=500, headers={"x-should-retry": "false"}
    )
    with pytest.raises(ServerError):
        make().chat(ask())
    assert len(httpserver.log) == 1


@pytest.mark.loopback
def test_last_error_is_raised_after_all_attempts(httpserver, make, ask):
    """Retries end; the error says status and attempts."""
    httpserver.expect_request(CHAT).respond_with_json(
        {"error": {"message": "on fire"}}, status=500
    )
    with pytest.raises(ServerError, match="HTTP 500: on fire") as caught:
        make().chat(ask())
    assert len(httpserver.log) == 3
    assert caught.value.__notes__[0] == "gave up after attempt 3"


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            {"response_data": '{"id": "c1", "choi', "content_type": "application/json"},
            "JSON",
        ),
        (
            {"response_data": "<html>gateway</html>", "content_type": "text/html"},
            "gateway",
        ),
        ({"response_data": "[]", "content_type": "application/json"}, "malformed"),
        (
            {
                "response_data": json.dumps({**body(), "choices": []}),
                "content_type": "application/json",
            },
            "no choices",
        ),
        (
            {
                "response_data": json.dumps(body(None)),
                "content_type": "application/json",
            },
            "neither content",
        ),
    ],
)
def test_malformed_bodies_are_server_errors(httpserver, make, ask, response, said):
    """Truncated, foreign and empty bodies are tried again, then named."""
    httpserver.expect_request(CHAT).respond_with_data(**response)
    with pytest.raises(ServerError, match=said):
        make(retry=RetryPolicy(base_s=0.0001, max_retries=1)).chat(ask())
    assert len(httpserver.log) == 2


@pytest.mark.loopback
def test_body_cut_off_on_the_wire_is_a_connection_error(httpserver, make, ask):
    """A body shorter than announced is a failed connection."""

    def cut(_request):
        response = Response("{", content_type="application/json")
        response.headers["Content-Length"] = "500"
        response.automatically_set_content_length = False
        return response

    httpserver.expect_request(CHAT).respond_with_handler(cut)
    with pytest.raises((ConnectionFailedError, ServerError)) as caught:
        make(retry=RetryPolicy(max_retries=0)).chat(ask())
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
    with pytest.raises(ConnectionFailedError, match=str(port)):
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
def test_hanging_server_times_out(httpserver, make, ask):
    """A server that does not answer is given up after the timeout of each attempt."""

    enough = threading.Event()

    def hang(_request):
        enough.wait(30)
        return Response("{}")

    httpserver.expect_request(CHAT).respond_with_handler(hang)
    client = make(timeout=0.05, retry=RetryPolicy(max_retries=0))
    with pytest.raises(ModelTimeoutError, match="in time"):
        client.chat(ask())
    enough.set()


@pytest.mark.loopback
def test_many_calls_share_connections(httpserver, make):
    """Thirty calls at once all arrive and come back in order."""

    def echo(request):
        text = request.json["messages"][0]["content"]
        return Response(json.dumps(body(text)), content_type="application/json")

    httpserver.expect_request(CHAT).respond_with_handler(echo)
    client = make()

    async def go():
        return await gather(
            client.achat([{"role": "user", "content": str(n)}]) for n in range(30)
        )

    assert run_sync(go()) == [str(n) for n in range(30)]


def test_calls_that_make_no_sense_are_refused(ask):
    """No model, streaming and a sync HTTP client are errors before anything is sent."""
    client = OpenAI(base_url="http://127.0.0.1:1/v1")
    client.set_price("", input=0, output=0)
    client.set_price("m", input=0, output=0)
    with pytest.raises(InputValueError, match="no model named"):
        client.chat(ask())
    with pytest.raises(InputValueError, match="stream"):
        client.chat(ask(), model="m", stream=True)
    with pytest.raises(InputTypeError, match="AsyncClient"):
        OpenAI(api_key=KEY, http_client=object())


@pytest.mark.loopback
def test_key_appears_nowhere(httpserver, make, ask, tmp_path, caplog):
    """Neither repr, errors, logs, usage nor the cache file hold the key."""
    caplog.set_level("DEBUG", logger="afnio")
    headers = {"Authorization": f"Bearer {KEY}", "X-Org": "hush-header"}
    httpserver.expect_ordered_request(CHAT).respond_with_json(body())
    httpserver.expect_ordered_request(CHAT).respond_with_json(
        {"error": {"message": f"bad key {KEY}, header Bearer {KEY}"}}, status=401
    )
    client = make()
    with use_cache(ReplyCache(tmp_path / "c.sqlite")) as cache:
        client.chat(ask(), extra_headers=headers)
        with pytest.raises(ModelError) as caught:
            client.chat(ask("again"), extra_headers=headers)
        cache.close()
    everything = "\n".join(
        [
            repr(client),
            repr(vars(client)),
            json.dumps(client.get_config()),
            json.dumps(client.get_usage_by_role()),
            "".join(traceback.format_exception(caught.value)),
            caplog.text,
        ]
    )
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (KEY, "hush-header"):
        assert secret not in everything
        assert secret.encode() not in stored


def test_usage_reads_what_other_servers_send():
    """Missing details are zeros."""
    assert (
        Usage.from_document({"prompt_tokens": 3, "completion_tokens": 4}).total_tokens
        == 7
    )
