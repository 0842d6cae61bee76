"""The Anthropic client: conversations converted, replies read, faults injected."""

import json

import pytest
from pydantic import BaseModel

from afnio._dispatch import run_sync
from afnio.errors import (
    AuthError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    InputValueError,
    RateLimitError,
    ServerError,
)
from afnio.models import RetryPolicy
from afnio.models.anthropic import Anthropic, AsyncAnthropic

KEY = "sk-ant-test-0123456789"
MESSAGES = "/v1/messages"


class Word(BaseModel):
    word: str


def body(*content, stop="end_turn", **usage):
    """Build a reply of the Messages API."""
    blocks = [{"type": "text", "text": b} if isinstance(b, str) else b for b in content]
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test-1",
        "content": blocks,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10, **usage},
    }


@pytest.fixture
def make(httpserver):
    """Make clients of the loopback server, and close them."""
    clients = []

    def build(kind=Anthropic, **settings):
        settings.setdefault("retry", RetryPolicy(base_s=0.0001))
        clients.append(
            kind(
                api_key=KEY,
                base_url=httpserver.url_for(""),
                model="claude-test",
                **settings,
            )
        )
        clients[-1].set_price("claude-test", input=3, cached=0.3, output=15)
        return clients[-1]

    yield build
    for client in clients:
        client.close()


def sent(httpserver):
    """Return the last body that the server got."""
    return httpserver.log[-1][0].json


def test_missing_key_is_an_error():
    """Without a key, the constructor names the variable."""
    with pytest.raises(AuthError, match="ANTHROPIC_API_KEY"):
        Anthropic()


@pytest.mark.loopback
@pytest.mark.parametrize("kind", [Anthropic, AsyncAnthropic])
def test_reply_is_read_in_full(httpserver, make, ask, kind):
    """Text, thinking, cached tokens and cost arrive; cached tokens are input tokens."""
    httpserver.expect_request(MESSAGES).respond_with_json(
        body(
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            "Hel",
            "lo",
            cache_read_input_tokens=800,
            cache_creation_input_tokens=100,
        )
    )
    reply = run_sync(make(kind).agenerate(ask()))
    assert (reply.text, reply.reasoning) == ("Hello", "hm")
    assert reply.usage.input_tokens == 1000
    assert (reply.usage.cached_tokens, reply.usage.cache_write_tokens) == (800, 100)
    # 200 at $3, 800 read from the cache at $0.30, 10 replied at $15 per million
    assert float(reply.usage.cost_usd) == pytest.approx(0.00099)


@pytest.mark.loopback
def test_conversation_is_put_in_anthropic_s_words(httpserver, make):
    """System, tools, tool calls, results and images of OpenAI's shape are converted."""
    httpserver.expect_request(MESSAGES).respond_with_json(body("ok"))
    call = {
        "id": "t1",
        "type": "function",
        "function": {"name": "look", "arguments": '{"at": 1}'},
    }
    make().chat(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "Look"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "here:"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,QUJD"},
                    },
                    {"type": "image_url", "image_url": {"url": "https://x.test/y.png"}},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t1", "content": "a cat"},
            {"role": "user", "content": "And?"},
        ],
        max_completion_tokens=77,
        stop="END",
        temperature=0.5,
        tool_choice="required",
        tools=[
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "Looks.",
                    "parameters": {"type": "object", "properties": {}},
                },
            }
        ],
    )
    request = sent(httpserver)
    assert request["system"] == "Be brief.\n\nBe kind."
    assert (request["max_tokens"], request["stop_sequences"]) == (77, ["END"])
    assert request["temperature"] == 0.5
    assert request["tool_choice"] == {"type": "any"}
    assert request["tools"][0]["input_schema"] == {"type": "object", "properties": {}}
    assert [turn["role"] for turn in request["messages"]] == [
        "user",
        "assistant",
        "user",
    ]
    first, second, third = (turn["content"] for turn in request["messages"])
    assert [block["type"] for block in first] == ["text", "text", "image", "image"]
    assert first[2]["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": "QUJD",
    }
    assert first[3]["source"] == {"type": "url", "url": "https://x.test/y.png"}
    assert second == [
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}}
    ]
    assert third[0] == {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": "a cat",
    }
    assert third[1] == {"type": "text", "text": "And?"}


@pytest.mark.loopback
def test_default_maximum_is_sent(httpserver, make, ask):
    """A call without a maximum asks for the documented 4096 tokens."""
    httpserver.expect_request(MESSAGES).respond_with_json(body("ok"))
    make().chat(ask())
    assert sent(httpserver)["max_tokens"] == 4096
    assert "system" not in sent(httpserver)


@pytest.mark.loopback
def test_schema_is_held_by_the_provider(httpserver, make, ask):
    """A pydantic class becomes the provider's own structured output."""
    httpserver.expect_request(MESSAGES).respond_with_json(body('{"word": "w"}'))
    reply = run_sync(make().agenerate(ask(), response_format=Word))
    assert reply.parsed == Word(word="w")
    form = sent(httpserver)["output_config"]["format"]
    assert form["type"] == "json_schema"
    assert form["schema"]["additionalProperties"] is False


@pytest.mark.loopback
def test_tool_use_is_read(httpserver, make, ask):
    """A tool call has its arguments as an object."""
    block = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 2}}
    httpserver.expect_request(MESSAGES).respond_with_json(body(block, stop="tool_use"))
    reply = run_sync(make().agenerate(ask()))
    assert (reply.text, reply.stop_reason) == (None, "tool_use")
    assert reply.tool_calls[0].arguments == {"at": 2}


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "max_tokens"),
        ("pause_turn", "pause"),
        ("model_context_window_exceeded", "max_tokens"),
        ("something_new", "something_new"),
    ],
)
def test_stop_reasons_are_ours_or_verbatim(httpserver, make, ask, stop, reason):
    """Known reasons are translated, unknown ones passed on."""
    httpserver.expect_request(MESSAGES).respond_with_json(body("x", stop=stop))
    assert run_sync(make().agenerate(ask())).stop_reason == reason


@pytest.mark.loopback
def test_refusal_is_no_text(httpserver, make, ask):
    """The words of a refusal are not an answer."""
    httpserver.expect_request(MESSAGES).respond_with_json(body("No.", stop="refusal"))
    reply = run_sync(make().agenerate(ask()))
    assert (reply.text, reply.refusal, reply.stop_reason) == (None, "No.", "refusal")


@pytest.mark.loopback
@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_passing_faults_are_tried_again(httpserver, make, ask, status):
    """Retryable statuses, overload included, are cured by our next attempt."""
    httpserver.expect_ordered_request(MESSAGES).respond_with_json({}, status=status)
    httpserver.expect_ordered_request(MESSAGES).respond_with_json(body("Hello"))
    assert make().chat(ask()) == "Hello"
    assert len(httpserver.log) == 2


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, "bad", BadRequestError),
        (401, f"invalid x-api-key {KEY}", AuthError),
        (400, "prompt is too long: 250000 tokens > 200000", ContextLengthError),
        (400, "Your credit balance is too low", BadRequestError),
    ],
)
def test_lasting_faults_are_raised_at_once(httpserver, make, ask, status, said, kind):
    """What asking again cannot cure is one request and an error without the key."""
    error = {"type": "error", "error": {"type": "x", "message": said}}
    httpserver.expect_request(MESSAGES).respond_with_json(error, status=status)
    with pytest.raises(kind) as caught:
        make().chat(ask())
    assert caught.value.status == status
    assert KEY not in str(caught.value)
    assert len(httpserver.log) == 1


@pytest.mark.loopback
def test_exhausted_rate_limit_is_raised(httpserver, make, ask):
    """A 429 that stays ends in RateLimitError, with the Retry-After it named."""
    httpserver.expect_request(MESSAGES).respond_with_json(
        {}, status=429, headers={"retry-after": "0"}
    )
    retry = RetryPolicy(base_s=0.0001, max_retries=1, throttle_retries=1)
    with pytest.raises(RateLimitError) as caught:
        make(retry=retry).chat(ask())
    assert caught.value.retry_after_s == 0
    assert len(httpserver.log) == 3


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        ('{"id": "m1", "con', "application/json", "JSON"),
        ("<html>gateway</html>", "text/html", "gateway"),
        (json.dumps(body()), "application/json", "no content"),
    ],
)
def test_malformed_bodies_are_server_errors(httpserver, make, ask, data, kind, said):
    """Truncated, foreign and empty bodies are tried again, then named."""
    httpserver.expect_request(MESSAGES).respond_with_data(data, content_type=kind)
    with pytest.raises(ServerError, match=said):
        make(retry=RetryPolicy(base_s=0.0001, max_retries=1)).chat(ask())
    assert len(httpserver.log) == 2


@pytest.mark.loopback
def test_malformed_tool_arguments_are_reported(httpserver, make, ask):
    """Arguments that are no object come back as an error that a model can read."""
    block = {"type": "tool_use", "id": "t1", "name": "look", "input": "x"}
    httpserver.expect_request(MESSAGES).respond_with_json(body(block, stop="tool_use"))
    call = run_sync(make().agenerate(ask())).tool_calls[0]
    assert (call.id, call.name, call.arguments) == ("t1", "look", {})
    assert "look are not valid JSON" in call.error


@pytest.mark.loopback
def test_refused_connection_is_named(ask):
    """A port where nobody listens is a connection error."""
    client = Anthropic(
        base_url="http://127.0.0.1:1",
        model="claude-test",
        retry=RetryPolicy(max_retries=0),
    )
    client.set_price("claude-test", input=0, output=0)
    with pytest.raises(ConnectionFailedError, match=r"127\.0\.0\.1:1"):
        client.chat(ask())
    client.close()


@pytest.mark.parametrize(
    ("messages", "args", "said"),
    [
        ([{"role": "system", "content": "x"}], {}, "system messages only"),
        ([{"role": "user", "content": "x"}], {"stream": True}, "stream"),
    ],
)
def test_calls_that_make_no_sense_are_refused(messages, args, said):
    """Streaming and conversations without a user are errors before anything is sent."""
    client = Anthropic(api_key=KEY, model="claude-test")
    client.set_price("claude-test", input=0, output=0)
    with pytest.raises(InputValueError, match=said):
        client.chat(messages, **args)
