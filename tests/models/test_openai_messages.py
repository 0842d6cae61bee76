"""Blocks in the words of OpenAI's chat API."""

import base64

import pytest

from afnio._dispatch import run_sync
from afnio.errors import InputTypeError, InputValueError
from afnio.models import blocks
from afnio.models._openai_messages import wire_messages

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
CHAT = "/v1/chat/completions"


def wire(role, *content, **more):
    """Convert a conversation of one message."""
    return wire_messages([{"role": role, "content": list(content), **more}])


def test_plain_conversations_are_not_touched():
    """Messages of text cost nothing: they are what was given."""
    messages = ({"role": "user", "content": "Hi"},)
    assert wire_messages(messages) is messages


def test_user_content_is_converted():
    """Text, images, PDFs and text documents have their place; cache hints have none."""
    pdf = base64.b64encode(b"%PDF-1").decode()
    (message,) = wire(
        "user",
        "bare",
        blocks.cached(blocks.text("a")),
        blocks.image(PNG, detail="low"),
        blocks.image("https://example.org/b.png"),
        blocks.document(b"%PDF-1", title="paper.pdf"),
        blocks.document(b"plain </document>", title="notes"),
        {"type": "document", "source": {"type": "file", "file_id": "f1"}},
        {"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}},
        blocks.provider("openai", {"type": "new", "x": 1}),
    )
    assert message["role"] == "user"
    assert message["content"] == [
        {"type": "text", "text": "bare"},
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/b.png"}},
        {
            "type": "file",
            "file": {
                "filename": "paper.pdf",
                "file_data": f"data:application/pdf;base64,{pdf}",
            },
        },
        {
            "type": "text",
            "text": "notes:\n<document2>\nplain </document>\n</document2>",
        },
        {"type": "file", "file": {"file_id": "f1"}},
        {"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}},
        {"type": "new", "x": 1},
    ]


def test_tool_turns_are_converted():
    """Calls go beside the text, results are messages of their own, before the rest."""
    said = wire(
        "assistant",
        blocks.thinking("hm", signature="s"),
        blocks.text("I "),
        blocks.text("look."),
        blocks.tool_use("1", "look", {"at": "ü"}),
    )
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "look", "arguments": '{"at": "ü"}'},
    }
    assert said == [{"role": "assistant", "content": "I look.", "tool_calls": [call]}]
    assert wire("assistant", blocks.tool_use("1", "look", {}))[0]["content"] is None
    assert wire("assistant", blocks.thinking("hm"))[0]["content"] == ""
    assert wire(
        "user",
        blocks.tool_result("1", "a cat"),
        blocks.tool_result("2", [blocks.text("x"), blocks.text("y")], is_error=True),
        blocks.text("Go on."),
    ) == [
        {"role": "tool", "tool_call_id": "1", "content": "a cat"},
        {"role": "tool", "tool_call_id": "2", "content": "Error: x\ny"},
        {"role": "user", "content": [{"type": "text", "text": "Go on."}]},
    ]


def test_openai_s_own_turns_stay():
    """A conversation in OpenAI's form is sent as it is."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    own = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "ok"},
    ]
    assert wire_messages(own) == own


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ([blocks.document("https://example.org/a.pdf")], InputValueError, "download"),
        ([blocks.tool_result("1", [blocks.image(PNG)])], InputValueError, "only text"),
        (
            [blocks.provider("anthropic", {"type": "search_result"})],
            InputValueError,
            "anthropic's own",
        ),
        (3, InputTypeError, "content is int"),
    ],
)
def test_what_openai_cannot_take_is_refused(content, error, said):
    """Blocks without a place in the API are an error that says what to do."""
    with pytest.raises(error, match=said):
        wire_messages([{"role": "user", "content": content}])


def test_hidden_thoughts_of_others_are_left_out():
    """Another provider's encrypted thinking is no reason to refuse a conversation."""
    hidden = blocks.provider("anthropic", {"type": "redacted_thinking", "data": "x"})
    assert wire("assistant", hidden, blocks.text("Hi")) == [
        {"role": "assistant", "content": "Hi"}
    ]


@pytest.mark.loopback
def test_blocks_arrive_through_the_sdk(httpserver, make_openai, chat_body):
    """What was asked with blocks and tools is what the server gets."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    httpserver.expect_request(CHAT).respond_with_json(
        chat_body(None, "tool_calls", tool_calls=[call, {**call, "id": "2"}])
    )
    messages = [{"role": "user", "content": [blocks.image(PNG)], "_mine": 1}]
    tools = [{"name": "f", "parameters": {"type": "object", "properties": {}}}]
    reply = run_sync(make_openai().agenerate(messages, tools=tools, tool_choice="f"))
    assert [call.id for call in reply.tool_calls] == ["1", "2"]
    body = httpserver.log[-1][0].json
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": URL}}],
        }
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert body["tools"][0]["type"] == "function"
