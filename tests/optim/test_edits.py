"""Edits: where they go, what is left alone, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from afnio.errors import RewriteRefused
from afnio.optim._edits import Edit, apply_edits, parse_edits

TEXT = 'You help customers.\nBe kind. Be brief.\nReply with JSON: {"a": 1}'


lines = str.splitlines


def edited(text, *edits, limit=9):
    """Return the text after edits given as (action, find, text)."""
    return apply_edits(text, [Edit(*edit) for edit in edits], limit)[0]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (("add", "", "Sign."), TEXT + "\nSign."),
        (("add", "customers.", "Greet."), TEXT.replace("s.\n", "s.\nGreet.\n")),
        (("add", "Be kind.", "Smile."), TEXT.replace("kind.", "kind. Smile.")),
        (("replace", "Be brief.", "One line."), TEXT.replace("Be brief.", "One line.")),
        (
            ("replace", "Be kind.  Be\nbrief.", "X"),
            TEXT.replace("Be kind. Be brief.", "X"),
        ),
        (
            ("delete", "Be kind. Be brief.", ""),
            TEXT.replace("Be kind. Be brief.\n", ""),
        ),
        (("delete", " Be brief.", ""), TEXT.replace(" Be brief.", "")),
        (("delete", "Be kind.", ""), TEXT.replace("Be kind. ", "")),
        (("delete", "Be brief.", ""), TEXT.replace(" Be brief.", "")),
        (
            ("move", "Be brief.", "customers."),
            TEXT.replace(" Be brief.", "").replace("s.\n", "s.\nBe brief.\n"),
        ),
    ],
)
def test_each_action_changes_just_its_place(edit, expected):
    """All else stays byte by byte; an emptied line goes."""
    assert edited(TEXT, edit) == expected


def test_line_breaks_are_those_of_the_text():
    """Also inside of what is added."""
    assert edited("a\r\nb", ("add", "", "c\nd")) == "a\r\nb\r\nc\r\nd"
    assert edited("a\r\nb", ("replace", "b", "c\nd")) == "a\r\nc\r\nd"
    assert edited("a\r\nb\r\nc", ("delete", "b", "")) == "a\r\nc"


@pytest.mark.parametrize(
    ("find", "reason"),
    [("Be", "there 2 times"), ("Be rude.", "not in the text"), (" ", "empty")],
)
def test_a_place_that_is_not_clear_is_refused(find, reason):
    """The reason tells the model what to do."""
    with pytest.raises(RewriteRefused, match=reason):
        edited(TEXT, ("replace", find, "x"))


def test_an_edit_without_a_place_is_left_out():
    """The others stand on their own, and the note says so."""
    edits = [Edit("add", "", "Sign."), Edit("delete", "nowhere", "")]
    text, note = apply_edits(TEXT, edits, 9)
    assert text == TEXT + "\nSign."
    assert note.startswith("1 edit (add); left out: edit 2: 'nowhere' is not in")


def test_the_limit_takes_the_first_edits():
    """The rest is counted in the note."""
    edits = [Edit("add", "", str(n)) for n in range(4)]
    text, note = apply_edits("x", edits, 2)
    assert text == "x\n0\n1"
    assert note == "2 edits (add, add); 2 beyond the limit of 2"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (None, "no answer"),
        ("  ", "no answer"),
        ("<think>never ends", "no answer"),
        ("Sorry.", "no JSON"),
        ('{"edits": [{"action": "add"', "not all of one"),
        ('{"edits": []}', "list"),
        ('{"changes": []}', "list"),
        ('"text"', "list"),
        ('{"edits": ["add"]}', "edit 1"),
        ('{"edits": [{"action": "rewrite", "find": "", "text": "x"}]}', "action"),
        ('{"edits": [{"action": "add", "find": "", "text": ["x"]}]}', "no text"),
        ('{"edits": [{"action": "add", "find": "", "text": " "}]}', "empty"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_replies_that_are_no_edits_are_refused(reply, reason):
    """With a reason, whatever they are."""
    with pytest.raises(RewriteRefused, match=reason):
        parse_edits(reply)


ROW = {"action": "add", "find": "", "text": 'say "}" and <think> and ```'}


@pytest.mark.parametrize(
    "form", ["{}", "```json\n{}\n```", "<think>a {{</think>{}", "So: {}"]
)
def test_debris_around_the_object_is_no_harm(form):
    """Reasoning before it, a fence around it, a word of introduction."""
    reply = form.replace("{{", "{ ").replace("{}", json.dumps({"edits": [ROW]}))
    assert parse_edits(reply) == [Edit("add", "", ROW["text"])]


awkward = st.sampled_from(
    [
        "```", "<think>", "</think>", "{x}", "{{x}}", '"}]}', "\r\n", "\u202e\u05e9",
        "\\", "\ud800", "<new_ab>", "</current>", "\0", " ", "x" * 100_000,
    ]
)  # fmt: skip
texts = st.lists(awkward | st.text(max_size=8), max_size=6).map("".join)


@given(texts, texts)
@settings(max_examples=150, deadline=None)
def test_any_text_arrives_as_it_was_meant(current, new):
    """Nothing in an edit can end it early: what is added stands there."""
    reply = json.dumps({"edits": [{"action": "add", "find": "", "text": new}]})
    if not new.strip():
        with pytest.raises(RewriteRefused):
            parse_edits(reply)
        return
    [edit] = parse_edits(reply)
    assert edit.text == new
    assume(new.casefold().split() not in [x.casefold().split() for x in lines(current)])
    text, _ = apply_edits(current, [edit], 1)
    assert text.startswith(current.rstrip())
    flat = "".join(new.strip("\r\n").splitlines())
    assert flat in "".join(text.splitlines())


@given(texts, st.data())
@settings(max_examples=100, deadline=None)
def test_a_replacement_leaves_everything_else(current, data):
    """Whatever place is quoted: before and after it, nothing moves."""
    if not current.strip():
        return
    start = data.draw(st.integers(0, len(current) - 1))
    end = data.draw(st.integers(start + 1, min(len(current), start + 40)))
    quote = current[start:end]
    try:
        text = edited(current, ("replace", quote, "NEW"))
    except RewriteRefused:
        return
    place = current.find(quote)
    assert text == current[:place] + "NEW" + current[place + len(quote) :]


def test_what_the_text_says_already_is_not_added():
    """Models propose a rule again that is there; short lines may be part of a form."""
    text = "Head.\n- Use their name.\n}"
    with pytest.raises(RewriteRefused, match=r"says .* already"):
        apply_edits(text, [Edit("add", "", "- use Their name.")], 4)
    found, note = apply_edits(
        text, [Edit("add", "", "- Use their name."), Edit("add", "", "}")], 4
    )
    assert found == f"{text}\n}}"
    assert "left out: edit 1" in note
