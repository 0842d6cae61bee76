"""Text that comes from elsewhere cannot command a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from afnio._terminal import printable


@given(st.text())
def test_nothing_but_line_breaks_is_left_to_obey(text):
    """Whatever the text, each of its lines is printable."""
    assert all(line.isprintable() for line in printable(text).split("\n"))


@given(st.text(st.characters(categories=("L", "N"))))
def test_ordinary_text_stays(text):
    """Letters and digits of any script are shown as they are."""
    assert printable(text) == text


def test_what_is_hidden_is_shown():
    """Escapes, bells, and characters that turn the direction of text."""
    assert printable("a\x1b[2J\x07\u202eb\nc") == "a\\x1b[2J\\x07\\u202eb\nc"
