"""Tests of afnio.autodiff._transcript (private): critics and reports read its words."""

from afnio.autodiff._transcript import declared, in_words, readable
from afnio.models import blocks


def test_every_kind_of_block_has_words():
    """Media are named with their size, and never shown."""
    page = blocks.document(b"secret words", title="a.txt")
    said = in_words(
        [
            blocks.text("Hi"),
            blocks.thinking("Hm."),
            blocks.tool_use("1", "look", {"at": "é"}),
            blocks.tool_result("1", [blocks.text("seen"), page], is_error=True),
            blocks.image("https://example.org/a.png"),
            blocks.provider("openai", {"type": "input_audio"}),
        ]
    )
    assert said.split("\n") == [
        "Hi",
        "(thinks: Hm.)",
        '(calls the tool look with {"at": "é"})',
        "(the tool call returned an error)",
        "<tool_output>",
        "seen",
        "(document, text/plain, 12 characters of data)",
        "</tool_output>",
        "(image, url, https://example.org/a.png)",
        "(provider)",
    ]
    assert "secret" not in said


def test_text_stays_as_it_is():
    """Messages of plain text are not changed."""
    assert readable({"role": "user", "content": "a\nb"}) == {
        "role": "user",
        "content": "a\nb",
    }
    assert readable({"role": "user", "content": None})["content"] == ""


def test_tools_are_shown_first():
    """One message declares them all; there is none without tools."""
    tools = [{"name": "f", "description": "Do it.", "parameters": {"type": "object"}}]
    (message,) = declared(tools)
    assert message["content"] == 'f: Do it.\nparameters: {"type": "object"}'
    assert declared([]) == []
