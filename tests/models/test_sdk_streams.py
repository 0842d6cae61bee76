"""Streams through the official SDKs: events put together, and faults in them."""

import json

import pytest
from werkzeug import Response

from afnio.errors import AuthError, RateLimitError, ServerError
from afnio.models import RetryPolicy, ToolCall, batch, blocks
from afnio.models.anthropic import Anthropic

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
NO_RETRY = RetryPolicy(max_retries=0)


def serve(httpserver, path, events, *, done=True):
    """Answer requests to ``path`` with server-sent events."""
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    if done:
        lines.append("data: [DONE]\n\n")
    httpserver.expect_request(path).respond_with_handler(
        lambda _request: Response(lines, content_type="text/event-stream")
    )


def chunk(finish=None, **delta):
    """Build a chunk of OpenAI's stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "model": "gpt-4o-2024-11-20", "choices": [choice]}


USAGE = {"id": "c1", "choices": [], "usage": {"prompt_tokens": 7, "total_tokens": 9}}


@pytest.mark.loopback
def test_openai_chunks_become_pieces_and_a_reply(httpserver, make_openai, ask):
    """Text comes in pieces; tool calls and usage are in the reply."""
    call = {"index": 0, "id": "t1", "function": {"name": "look", "arguments": ""}}
    rest = {"index": 0, "function": {"arguments": '{"at": 1}'}}
    serve(
        httpserver,
        CHAT,
        [
            chunk(role="assistant", content=""),
            chunk(content="Hel"),
            chunk(content="lo"),
            chunk(tool_calls=[call]),
            chunk(tool_calls=[rest]),
            chunk("tool_calls"),
            USAGE,
        ],
    )
    stream = make_openai().stream(ask(), temperature=0)
    assert list(stream) == ["Hel", "lo"]
    reply = stream.reply
    assert (reply.text, reply.stop_reason) == ("Hello", "tool_use")
    assert reply.tool_calls == (ToolCall("t1", "look", {"at": 1}),)
    assert reply.usage.input_tokens == 7
    sent = httpserver.log[-1][0].json
    assert (sent["stream"], sent["temperature"]) == (True, 0)
    assert sent["stream_options"] == {"include_usage": True}


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([chunk(content="Hel")], "ended before the reply did"),
        ([chunk(content="Hel"), {"error": {"message": "overloaded"}}], "overloaded"),
    ],
)
def test_openai_stream_that_breaks_off_is_an_error(
    httpserver, make_openai, ask, events, said
):
    """A stream without an end, or with an error in it, is no reply, and not retried."""
    serve(httpserver, CHAT, events)
    stream = make_openai().stream(ask())
    assert next(stream) == "Hel"
    with pytest.raises(ServerError, match=said):
        next(stream)
    assert len(httpserver.log) == 1


@pytest.mark.loopback
def test_statuses_are_errors_for_streams_too(httpserver, make_openai, ask, key):
    """A refused stream is the same error as a refused call, without the key."""
    httpserver.expect_request(CHAT).respond_with_json(
        {"error": {"message": f"Incorrect API key provided: {key}"}}, status=401
    )
    with pytest.raises(AuthError) as caught:
        list(make_openai().stream(ask()))
    assert key not in str(caught.value)


@pytest.fixture
def claude(httpserver):
    """Make a client of the loopback server, and close it."""
    client = Anthropic(
        api_key="sk-ant-test", base_url=httpserver.url_for(""), model="claude-test"
    )
    client._retry = NO_RETRY
    client.set_price("claude-test", input=0, output=0)
    yield client
    client.close()


def start(index, **block):
    """Build the event that opens a block of Anthropic's stream."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index, **change):
    """Build the event that continues a block."""
    return {"type": "content_block_delta", "index": index, "delta": change}


OPENING = {
    "type": "message_start",
    "message": {
        "id": "m1",
        "model": "claude-test-1",
        "content": [],
        "usage": {"input_tokens": 5, "output_tokens": 1},
    },
}
CLOSING = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use"},
        "usage": {"output_tokens": 12},
    },
    {"type": "message_stop"},
]


@pytest.mark.loopback
def test_anthropic_events_become_pieces_and_a_reply(httpserver, claude, ask):
    """Text comes in pieces; thinking, tool calls and usage are in the reply."""
    serve(
        httpserver,
        MESSAGES,
        [
            OPENING,
            {"type": "ping"},
            start(0, type="thinking", thinking=""),
            delta(0, type="thinking_delta", thinking="hm"),
            delta(0, type="signature_delta", signature="s"),
            start(1, type="text", text=""),
            delta(1, type="text_delta", text="Hel"),
            delta(1, type="text_delta", text="lo"),
            start(2, type="tool_use", id="t1", name="look", input={}),
            delta(2, type="input_json_delta", partial_json='{"at"'),
            delta(2, type="input_json_delta", partial_json=": 1}"),
            {"type": "content_block_stop", "index": 2},
            *CLOSING,
        ],
        done=False,
    )
    stream = claude.stream(ask())
    assert list(stream) == ["Hel", "lo"]
    reply = stream.reply
    assert (reply.text, reply.reasoning) == ("Hello", "hm")
    assert reply.tool_calls == (ToolCall("t1", "look", {"at": 1}),)
    assert blocks.assistant(reply)["content"] == [
        blocks.thinking("hm", signature="s"),
        blocks.text("Hello"),
        blocks.tool_use("t1", "look", {"at": 1}),
    ]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (5, 12)
    assert reply.model == "claude-test-1"


@pytest.mark.loopback
def test_anthropic_stream_that_breaks_off_is_an_error(httpserver, claude, ask):
    """A stream without message_stop is no reply."""
    serve(httpserver, MESSAGES, [OPENING, start(0, type="text", text="")], done=False)
    with pytest.raises(ServerError, match="ended before the reply did"):
        list(claude.stream(ask()))


@pytest.mark.loopback
def test_anthropic_rate_limit_is_an_error_for_streams_too(httpserver, claude, ask):
    """A 429 before the stream is the error that calls get."""
    httpserver.expect_request(MESSAGES).respond_with_json({}, status=429)
    claude._retry = RetryPolicy(max_retries=0)
    with pytest.raises(RateLimitError):
        list(claude.stream(ask()))


@pytest.mark.loopback
def test_streams_pass_by_batches(httpserver, make_openai, ask, tmp_path):
    """A stream inside a batch comes at once; blocks are put in OpenAI's words."""
    serve(httpserver, CHAT, [chunk(content="Hel"), chunk("stop", content="lo"), USAGE])
    document = blocks.document(b"plain", title="notes")
    messages = [{"role": "user", "content": [document]}]
    with batch(tmp_path / "b"):
        assert list(make_openai().stream(messages)) == ["Hel", "lo"]
    content = httpserver.log[-1][0].json["messages"][0]["content"]
    assert content[0]["text"].startswith("notes:")
    assert not (tmp_path / "b").exists()
