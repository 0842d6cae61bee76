"""The OpenAI client: keys, requests as sent, replies as read, and faults injected.

The official SDK talks to a real HTTP server on loopback.
"""

import json
import subprocess
import sys
import traceback

import pytest
from pydantic import BaseModel
from werkzeug import Response

from afnio._dispatch import gather, run_sync
from afnio.errors import (
    AuthError,
    InputTypeError,
    InputValueError,
    ModelError,
    ReplayMissError,
)
from afnio.models import ReplyCache, Usage, plan, use_cache
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.models.testing import ScriptedModel

CHAT = "/v1/chat/completions"


class Word(BaseModel):
    word: str
    count: int = 1


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


def test_a_plan_needs_no_key(ask):
    """Nothing is sent; what is sent after it says that there is no key."""
    with plan() as planned:
        client = OpenAI(model="gpt-4o")
        client.chat(ask())
    assert planned.calls == 1
    with pytest.raises(AuthError, match="OPENAI_API_KEY"):
        client.chat(ask())


def test_a_replay_needs_no_key(ask, tmp_path):
    """What is not recorded is a miss, whether there is a key or not."""
    path = tmp_path / "replies.sqlite"
    with use_cache(ReplyCache(path, mode="record")):
        ScriptedModel("x").chat(ask())
    with use_cache(ReplyCache(path, mode="replay")):
        client = OpenAI(model="gpt-4o")
        with pytest.raises(ReplayMissError):
            client.chat(ask())


def test_servers_of_one_s_own_need_no_key():
    """A base URL is enough."""
    assert OpenAI(base_url="http://127.0.0.1:1/v1").endpoint == "http://127.0.0.1:1/v1"


def test_settings_are_described_without_secrets(key):
    """The config has settings as JSON data, and digests for headers."""
    client = OpenAI(
        api_key=key, organization="org", default_headers={"X-Token": "hush-hush"}
    )
    config = json.dumps(client.get_config())
    assert "org" in config
    assert "hush" not in config
    assert key not in config + repr(client) + str(vars(client))


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
@pytest.mark.loopback
def test_reply_is_read_in_full(httpserver, make_openai, ask, kind, chat_body):
    """Text, usage, cost, model and stop reason arrive, under both names."""
    httpserver.expect_request(CHAT).respond_with_json(
        chat_body(), headers={"x-request-id": "req-1"}
    )
    client = make_openai(kind)

    reply = run_sync(client.agenerate(ask()))

    assert (reply.text, reply.stop_reason) == ("Hello", "end_turn")
    assert (reply.model, reply.request_id) == ("gpt-4o-2024-11-20", "req-1")
    assert reply.usage.cached_tokens == 200
    assert float(reply.usage.cost_usd) == pytest.approx(0.00235)
    assert client.get_usage()["cost"]["amount"] == pytest.approx(0.00235)


@pytest.mark.loopback
def test_arguments_are_sent_verbatim(httpserver, make_openai, ask, chat_body, key):
    """What the caller passes is what the server gets, extras included."""
    httpserver.expect_request(CHAT).respond_with_json(chat_body('{"word": "w"}'))
    client = make_openai(organization="org-1", default_headers={"X-Mine": "1"})
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
    assert request.headers["Authorization"] == f"Bearer {key}"
    assert request.headers["OpenAI-Organization"] == "org-1"
    assert (request.headers["X-Mine"], request.headers["X-Extra"]) == ("1", "2")


@pytest.mark.loopback
def test_given_key_wins_over_the_environment(
    httpserver, make_openai, ask, monkeypatch, chat_body, key
):
    """ML12: api_key beats the variable; without it the variable counts."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-env-123456")
    httpserver.expect_request(CHAT).respond_with_json(chat_body())
    make_openai().chat(ask())
    from_env = OpenAI(base_url=httpserver.url_for("/v1"), model="gpt-4o")
    from_env.chat(ask())
    from_env.close()
    seen = [request.headers["Authorization"] for request, _ in httpserver.log]
    assert seen == [f"Bearer {key}", "Bearer sk-from-env-123456"]


@pytest.mark.loopback
def test_key_may_be_a_function(httpserver, ask, chat_body):
    """A function is asked for the key when a call is made."""
    httpserver.expect_request(CHAT).respond_with_json(chat_body())
    client = OpenAI(
        api_key=lambda: "sk-fresh-123456", base_url=httpserver.url_for("/v1"), model="m"
    )
    client.set_price("m", input=0, output=0)
    client.chat(ask())
    client.close()
    assert httpserver.log[0][0].headers["Authorization"] == "Bearer sk-fresh-123456"


@pytest.mark.loopback
def test_pydantic_reply_is_parsed(httpserver, make_openai, ask, chat_body):
    """A class as response_format gives an instance."""
    httpserver.expect_request(CHAT).respond_with_json(
        chat_body('{"word": "w", "count": 2}')
    )
    reply = run_sync(make_openai().agenerate(ask(), response_format=Word))
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
def test_stop_reasons_are_ours_or_verbatim(
    httpserver, make_openai, ask, finish, reason, chat_body
):
    """Known reasons are translated, unknown ones passed on."""
    httpserver.expect_request(CHAT).respond_with_json(chat_body(finish=finish))
    assert run_sync(make_openai().agenerate(ask())).stop_reason == reason


@pytest.mark.loopback
def test_tool_calls_are_parsed(httpserver, make_openai, ask, chat_body):
    """A tool call has its arguments as an object, and no text."""
    call = {
        "id": "t1",
        "type": "function",
        "function": {"name": "look", "arguments": '{"at": 3}'},
    }
    httpserver.expect_request(CHAT).respond_with_json(
        chat_body(None, "tool_calls", tool_calls=[call])
    )
    reply = run_sync(make_openai().agenerate(ask()))
    assert (reply.text, reply.stop_reason) == (None, "tool_use")
    assert (reply.tool_calls[0].name, reply.tool_calls[0].arguments) == (
        "look",
        {"at": 3},
    )


@pytest.mark.loopback
def test_malformed_tool_arguments_are_reported(httpserver, make_openai, ask, chat_body):
    """Arguments that are no JSON come back as an error that a model can read."""
    call = {
        "id": "t1",
        "type": "function",
        "function": {"name": "look", "arguments": "{"},
    }
    httpserver.expect_request(CHAT).respond_with_json(
        chat_body(None, "tool_calls", tool_calls=[call])
    )
    call = run_sync(make_openai().agenerate(ask())).tool_calls[0]
    assert (call.id, call.name, call.arguments) == ("t1", "look", {})
    assert "look are not valid JSON" in call.error


@pytest.mark.loopback
def test_refusal_is_no_text(httpserver, make_openai, ask, chat_body):
    """A refusal has its words apart, and a reason of its own."""
    httpserver.expect_request(CHAT).respond_with_json(
        chat_body(None, refusal="I won't.")
    )
    reply = run_sync(make_openai().agenerate(ask()))
    assert (reply.text, reply.refusal, reply.stop_reason) == (
        None,
        "I won't.",
        "refusal",
    )
    assert make_openai().chat(ask()) is None


@pytest.mark.loopback
def test_many_calls_share_connections(httpserver, make_openai, chat_body):
    """Thirty calls at once all arrive and come back in order."""

    def echo(request):
        text = request.json["messages"][0]["content"]
        return Response(json.dumps(chat_body(text)), content_type="application/json")

    httpserver.expect_request(CHAT).respond_with_handler(echo)
    client = make_openai()

    async def go():
        return await gather(
            client.achat([{"role": "user", "content": str(n)}]) for n in range(30)
        )

    assert run_sync(go()) == [str(n) for n in range(30)]


def test_calls_that_make_no_sense_are_refused(ask, key):
    """No model, streaming and a sync HTTP client are errors before anything is sent."""
    client = OpenAI(base_url="http://127.0.0.1:1/v1")
    client.set_price("", input=0, output=0)
    client.set_price("m", input=0, output=0)
    with pytest.raises(InputValueError, match="no model named"):
        client.chat(ask())
    with pytest.raises(InputValueError, match="stream"):
        client.chat(ask(), model="m", stream=True)
    with pytest.raises(InputTypeError, match="AsyncClient"):
        OpenAI(api_key=key, http_client=object())


@pytest.mark.loopback
def test_key_appears_nowhere(
    httpserver, make_openai, ask, tmp_path, caplog, chat_body, key
):
    """Neither repr, errors, logs, usage nor the cache file hold the key."""
    caplog.set_level("DEBUG", logger="afnio")
    headers = {"Authorization": f"Bearer {key}", "X-Org": "hush-header"}
    httpserver.expect_ordered_request(CHAT).respond_with_json(chat_body())
    httpserver.expect_ordered_request(CHAT).respond_with_json(
        {"error": {"message": f"bad key {key}, header Bearer {key}"}}, status=401
    )
    client = make_openai()
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
    for secret in (key, "hush-header"):
        assert secret not in everything
        assert secret.encode() not in stored


def test_usage_reads_what_other_servers_send():
    """Missing details are zeros."""
    assert (
        Usage.from_document({"prompt_tokens": 3, "completion_tokens": 4}).total_tokens
        == 7
    )
