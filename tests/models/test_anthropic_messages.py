"""Blocks in the words of Anthropic's Messages API."""

import pytest

from afnio._dispatch import run_sync
from afnio.errors import InputValueError
from afnio.models import blocks
from afnio.models._anthropic_messages import system_of, turns_of
from afnio.models.anthropic import Anthropic

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def turns(*messages):
    """Convert a conversation."""
    return list(turns_of(messages))


def test_user_content_is_converted():
    """Sources are Anthropic's already; what it does not know is left out."""
    image, paper = blocks.image(PNG, detail="low"), blocks.document(b"%PDF-1")
    (turn,) = turns(
        {
            "role": "user",
            "content": [
                blocks.cached(blocks.text("a")),
                blocks.text(""),
                blocks.thinking("unsigned"),
                image,
                blocks.cached(paper, ttl="1h"),
                blocks.provider("anthropic", {"type": "search_result", "x": 1}),
                {"type": "container_upload", "file_id": "f1"},
            ],
        }
    )
    hint = {"type": "ephemeral"}
    assert turn["content"] == [
        {"type": "text", "text": "a", "cache_control": hint},
        {"type": "image", "source": image["source"]},
        {**paper, "cache_control": {**hint, "ttl": "1h"}},
        {"type": "search_result", "x": 1},
        {"type": "container_upload", "file_id": "f1"},
    ]


def test_tool_turns_are_converted():
    """Results come first in their turn, whatever form they had; errors are marked."""
    assert turns(
        {"role": "user", "content": "Look"},
        {
            "role": "assistant",
            "content": [
                blocks.thinking("hm", signature="s"),
                blocks.tool_use("1", "look", {"at": 2}),
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "a cat"},
        {
            "role": "user",
            "content": [
                blocks.text("Go on."),
                blocks.tool_result("2", [blocks.image(PNG)], is_error=True),
                {**blocks.tool_result("3", "x"), "is_error": False},
            ],
        },
    ) == [
        {"role": "user", "content": "Look"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                blocks.tool_use("1", "look", {"at": 2}),
            ],
        },
        {
            "role": "user",
            "content": [
                blocks.tool_result("1", "a cat"),
                blocks.tool_result("2", [blocks.image(PNG)], is_error=True),
                blocks.tool_result("3", "x"),
                blocks.text("Go on."),
            ],
        },
    ]


def test_damaged_arguments_in_a_conversation_do_not_stop_it():
    """A call in OpenAI's form whose arguments are no JSON goes without them."""
    call = {"id": "1", "function": {"name": "look", "arguments": "{"}}
    (turn,) = turns({"role": "assistant", "content": None, "tool_calls": [call]})
    assert turn["content"] == [blocks.tool_use("1", "look", {})]


def test_files_of_openai_s_form_become_documents():
    """A file block with content is a document."""
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}
    (turn,) = turns({"role": "user", "content": [{"type": "file", "file": file}]})
    source = {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}
    assert turn["content"] == [{"type": "document", "source": source, "title": "a.pdf"}]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"type": "file", "file": {"file_id": "f1"}}, "at OpenAI"),
        ({"type": "input_audio", "input_audio": {}}, "no audio"),
        (blocks.provider("openai", {"type": "new"}), "openai's own"),
    ],
)
def test_what_anthropic_cannot_take_is_refused(block, said):
    """Blocks without a place in the API are an error that says what to do."""
    with pytest.raises(InputValueError, match=said):
        turns({"role": "user", "content": [block]})


def test_cache_hint_on_the_system_prompt_is_kept():
    """A system message of blocks stays blocks, with its hint."""
    hinted = blocks.cached(blocks.text("Be brief."))
    assert system_of([{"role": "system", "content": [hinted]}]) == [hinted]


@pytest.mark.loopback
def test_thinking_survives_a_tool_turn(httpserver):
    """Signed and hidden thinking of a reply goes back as it came, and in order."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "xyz"}
    used = {"type": "tool_use", "id": "1", "name": "look", "input": {"at": 2}}
    httpserver.expect_request("/v1/messages").respond_with_json(
        {
            "model": "m",
            "content": [thought, hidden, {"type": "text", "text": "I look."}, used],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    )
    client = Anthropic(base_url=httpserver.url_for(""), model="m")
    client.set_price("m", input=1, output=1)
    question = {"role": "user", "content": "Look"}
    reply = run_sync(client.agenerate([question]))
    assert (reply.text, reply.reasoning) == ("I look.", "hm")
    result = {"role": "user", "content": [blocks.tool_result("1", "a cat")]}
    client.chat([question, blocks.assistant(reply), result])
    client.close()
    assert httpserver.log[-1][0].json["messages"] == [
        question,
        {
            "role": "assistant",
            "content": [thought, hidden, {"type": "text", "text": "I look."}, used],
        },
        result,
    ]
