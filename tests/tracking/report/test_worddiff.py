"""Texts compared word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.tracking.report._worddiff import diff

TEXTS = st.text(alphabet="ab \n.x", max_size=60)


def kinds(found):
    """Return the spans as pairs."""
    return [(span.kind, span.text) for span in found.spans]


def test_marks_words():
    """Only what differs is marked, with the words whole."""
    assert kinds(diff("Be kind to them.", "Be very kind to all.")) == [
        ("same", "Be "),
        ("ins", "very "),
        ("same", "kind to "),
        ("del", "them"),
        ("ins", "all"),
        ("same", "."),
    ]


def test_marks_lines():
    """A line that was added leaves its neighbours alone."""
    assert kinds(diff("one\ntwo", "one\nnew\ntwo")) == [
        ("same", "one\n"),
        ("ins", "new"),
        ("same", "\ntwo"),
    ]


def test_texts_with_little_in_common_go_as_a_whole():
    """Single words that happen to be equal would only confuse."""
    assert kinds(diff("Sort the mail by desk.", "You are a pirate; the end.")) == [
        ("del", "Sort the mail by desk."),
        ("ins", "You are a pirate; the end."),
    ]


def test_long_stretches_that_stayed_are_cut():
    """The cut says how much it left out."""
    found = diff("word " * 400 + "end", "word " * 400 + "fin")
    cut = [span.text for span in found.spans if span.kind == "cut"]
    assert cut == ["1,840 characters unchanged"]


def test_rows_are_compared_as_rows():
    """Demonstrations come and go whole."""
    found = diff([["cat", "cats"]], [["cat", "cats"], ["ox", "oxen"]])
    assert found.is_rows
    assert kinds(found) == [("ins", "ox → oxen")]


def test_many_rows_are_counted():
    """What is not shown is said."""
    found = diff([], [[str(n), "x"] for n in range(100)])
    assert (len(found.spans), found.left_out) == (40, 60)


@pytest.mark.parametrize("before", ["", None, 3, [], "a"])
@pytest.mark.parametrize("after", ["", None, 3, ["x"], "a b"])
def test_any_two_values_compare(before, after):
    """Values of different kinds are shown one after the other."""
    assert isinstance(diff(before, after).spans, tuple)


@given(TEXTS, TEXTS)
def test_nothing_is_lost(before, after):
    """Apart from space, the spans that stayed or came are the new text."""
    spans = diff(before, after).spans

    def words(kind):
        return "".join(s.text for s in spans if s.kind in ("same", kind)).split()

    def squeezed(parts):
        return "".join(parts)

    assert squeezed(words("ins")) == squeezed(after.split())
    assert squeezed(words("del")) == squeezed(before.split())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a " * 20_000, "a b " * 20_000),
        ("x\n" * 5_000, "y\nx\n" * 5_000),
        ("é" * 100_000, "è" * 100_000),
        (" " * 50_000, "\t" * 50_000),
    ],
)
def test_texts_that_repeat_themselves_go_as_a_whole(before, after):
    """Comparing them by word would take minutes, and show confetti."""
    assert len(diff(before, after).spans) <= 6
