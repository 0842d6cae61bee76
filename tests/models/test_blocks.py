"""Content blocks: made, validated, and turned into the message of a reply."""

import base64
import json

import pytest

from afnio.errors import InputTypeError, InputValueError, MissingFileError
from afnio.models import Reply, ToolCall, blocks
from afnio.models.testing import ScriptedModel

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
PDF = b"%PDF-1.7 rest"


def test_image_is_read_from_a_file_at_once(tmp_path):
    """An image holds its content, its media type told from it, not from the name."""
    path = tmp_path / "picture.jpg"
    path.write_bytes(PNG)
    block = blocks.image(path)
    path.unlink()
    data = base64.b64encode(PNG).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    assert block == {"type": "image", "source": source}
    assert json.loads(json.dumps(block)) == block


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
def test_image_kinds_are_told_from_bytes(data, kind):
    """Every kind that providers take is known by its first bytes."""
    assert blocks.image(data)["source"]["media_type"] == kind


def test_image_by_url_is_left_to_the_provider():
    """A URL is not fetched; a data: URL is content."""
    url = "https://example.org/a.png"
    assert blocks.image(url)["source"] == {"type": "url", "url": url}
    data = base64.b64encode(PNG).decode()
    assert blocks.image(f"data:image/png;base64,{data}") == blocks.image(PNG)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: blocks.image("no-such.png"), MissingFileError, "no image file"),
        (lambda: blocks.image("x\0y"), MissingFileError, "no image file"),
        (lambda: blocks.image(b""), InputValueError, "empty"),
        (lambda: blocks.image(b"hello"), InputValueError, "unknown kind"),
        (lambda: blocks.image(PDF), InputValueError, "is application/pdf"),
        (lambda: blocks.image(3), InputTypeError, "int"),
        (lambda: blocks.image("data:image/png,abc"), InputValueError, "not base64"),
        (lambda: blocks.image("data:image/png;base64,a!"), InputValueError, "damaged"),
        (lambda: blocks.image(PNG + bytes(20_000_000)), InputValueError, "larger"),
        (lambda: blocks.document(PNG), InputValueError, "image/png"),
        (lambda: blocks.document(b"\xff\xfe"), InputValueError, "unknown kind"),
        (
            lambda: blocks.document(b"\xff", media_type="text/plain"),
            InputValueError,
            "UTF-8",
        ),
        (lambda: blocks.text(3), InputTypeError, "int"),
        (lambda: blocks.tool_use("1", "f", "x"), InputTypeError, "str"),
        (lambda: blocks.tool_result("1", 3), InputTypeError, "json.dumps"),
        (lambda: blocks.tool_result("1", [{"type": "zz"}]), InputTypeError, "zz"),
        (lambda: blocks.provider("openai", {}), InputTypeError, "type"),
        (lambda: blocks.cached(blocks.text("a"), ttl="9h"), InputValueError, "1h"),
    ],
)
def test_what_is_no_block_is_refused(make, error, said):
    """Wrong content is an error that says what was expected."""
    with pytest.raises(error, match=said):
        make()


def test_documents_are_pdf_or_text(tmp_path):
    """A document has its file's name as its title; text stays readable."""
    path = tmp_path / "notes.txt"
    path.write_text("Grüße", "utf-8")
    source = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    assert blocks.document(path) == {
        "type": "document",
        "source": source,
        "title": "notes.txt",
    }
    assert blocks.document(PDF, title="T")["source"]["media_type"] == "application/pdf"
    assert "title" not in blocks.document("https://example.org/a.pdf")


@pytest.mark.parametrize("block", [{}, {"type": "zz"}, {"type": "text"}, "x"])
def test_wrong_blocks_are_named(block):
    """Every kind of mistake is a ContentBlockError (conformance M08)."""
    with pytest.raises(blocks.ContentBlockError):
        blocks.validate_block(block)


def test_missing_keys_are_listed_in_order():
    """All missing keys are reported at once."""
    with pytest.raises(blocks.ContentBlockError, match="'id', 'input', 'name'"):
        blocks.validate_block({"type": "tool_use"})


@pytest.mark.parametrize(
    "message",
    ["x", {"role": "bot", "content": []}, {"role": "user", "content": "x"}],
)
def test_wrong_messages_are_named(message):
    """A message needs a known role and a list of blocks (conformance M09)."""
    with pytest.raises(blocks.MessageError):
        blocks.validate_message(message)


def test_wrong_block_in_a_message_has_its_place():
    """The index of the wrong block is part of the error; no content at all is fine."""
    with pytest.raises(blocks.ContentBlockError, match=r"content\[1\]"):
        blocks.validate_message({"role": "user", "content": [blocks.text("a"), {}]})
    blocks.validate_message({"role": "user", "content": []})


def test_reply_becomes_the_next_message():
    """Thinking, text and tool calls are blocks; kept blocks win, with signatures."""
    call = ToolCall("1", "look", {"at": 2})
    assert blocks.assistant(Reply("Hm", reasoning="why", tool_calls=(call,))) == {
        "role": "assistant",
        "content": [
            blocks.thinking("why"),
            blocks.text("Hm"),
            blocks.tool_use("1", "look", {"at": 2}),
        ],
    }
    signed = blocks.thinking("why", signature="s")
    kept = blocks.assistant(Reply("Hm", blocks=(signed, blocks.text("Hm"))))
    assert kept["content"] == [signed, blocks.text("Hm")]
    assert blocks.assistant(Reply(None, refusal="No."))["content"] == [
        blocks.text("No.")
    ]


def test_private_keys_are_not_sent():
    """Keys that start with _ are for afnio; the caller's message keeps them (M11)."""
    model = ScriptedModel(["ok"])
    message = {
        "role": "user",
        "content": [{**blocks.text("a"), "_seen": 1}],
        "_stop_reason": 1,
    }
    model.chat([message])
    assert model.requests[0].messages == (
        {"role": "user", "content": [blocks.text("a")]},
    )
    assert message["_stop_reason"] == message["content"][0]["_seen"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([3], r"messages\[0\]: content\[0\] is int"),
        ([{"type": "tool_use", "id": "1"}], "'input', 'name'"),
        ([blocks.tool_result("1", "x") | {"content": [None]}], "NoneType"),
    ],
)
def test_wrong_blocks_are_refused_before_anything_is_sent(content, said):
    """A call with a wrong block names its place, and asks nobody."""
    model = ScriptedModel(["ok"])
    with pytest.raises(blocks.ContentBlockError, match=said):
        model.chat([{"role": "user", "content": content}])
    assert model.requests == []
