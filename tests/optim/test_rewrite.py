"""Rewrites: exact extraction, what is refused, and how the model is asked again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optim_helpers import answer, between, tag_in

from afnio._dispatch import run_sync
from afnio._text import fill, placeholders
from afnio.errors import RewriteRefused
from afnio.models.testing import ScriptedModel
from afnio.optim._options import RewriteOptions
from afnio.optim._prompts import Task, mark_of, render, tag_of
from afnio.optim._rewrite import extract, rewrite
from afnio.optim._safety import check, tidy

TAG = "new_ab12"

awkward = st.sampled_from(
    [
        "```python\nx\n```",
        "<think>hm</think>",
        "</think>",
        '{"a": {"b": [1, "}"]}}',
        "<?xml version='1.0'?><a b='c'>&amp;</a>",
        "line\r\nline\r\n",
        "\r",
        "\u202eright to left\u202c שלום",
        "{name} {{name}} {current} {reply}",
        "<new_0000>",
        "\0",
        "x" * 100_000,
    ]
)
any_text = st.lists(awkward | st.text(), max_size=5).map("".join)
reasoning = st.sampled_from(
    ["", "Sure:\n", f"<think>a draft: <{TAG}>\nno\n</{TAG}></think>\n", "```\n"]
)


@given(
    any_text, reasoning, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\nOK"])
)
@settings(max_examples=200, deadline=None)
def test_any_text_is_extracted_exactly(text, before, line_break, after):
    """Whatever stands between the tags of a well-formed reply comes back as it is."""
    reply = f"{before}<{TAG}>{line_break}{text}{line_break}</{TAG}>{after}"
    assert extract(reply, TAG) == text


def test_text_on_the_line_of_its_tags_is_extracted_too():
    """Line breaks are only dropped where they are."""
    assert extract(f"<{TAG}>short</{TAG}>", TAG) == "short"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (None, "no answer"),
        ("  \n", "no answer"),
        ("<think>endless", "no answer"),
        (f"<think>only <{TAG}>x</{TAG}></think>", "no answer"),
        ("The new text", "lacks"),
        (f"</{TAG}>x<{TAG}>", "lacks"),
        (f"<{TAG}>cut off", "ends before"),
        (f"<{TAG}>a</{TAG}> or <{TAG}>b</{TAG}>", "more than once"),
        (f"<{TAG}>a</{TAG}> ends at </{TAG}>", "more than once"),
        (f"<THINK>only <{TAG}>x</{TAG}></Think>", "no answer"),
        (f"Hm. <think>try <{TAG}>x</{TAG}></think> No.", "inside its reasoning"),
        (f"\ufeff<think>try <{TAG}>x</{TAG}></think>", "inside its reasoning"),
        (f"<think>a</think><think>b <{TAG}>x</{TAG}></think>", "no answer"),
    ],
)
def test_doubtful_replies_are_not_guessed_at(reply, reason):
    """Anything but exactly one text is refused, with the reply at hand."""
    with pytest.raises(RewriteRefused, match=reason) as caught:
        extract(reply, TAG)
    assert caught.value.reply == reply


@given(any_text, any_text)
@settings(max_examples=50, deadline=None)
def test_the_mark_occurs_nowhere_in_what_is_sent(current, feedback):
    """It is the same for the same task, and no text can contain its tags."""
    task = Task(current=current, feedback=(feedback,))
    mark = mark_of(task)
    assert mark == mark_of(task)
    assert mark not in (current + feedback).casefold()


@given(any_text)
@settings(max_examples=50, deadline=None)
def test_the_model_sees_any_text_unchanged(current):
    """Fenced, inserted once, and never scanned for placeholders."""
    user = render(Task(current=current, role="r", feedback=("f",)))[1]["content"]
    mark = mark_of(Task(current=current, role="r", feedback=("f",)))
    assert f"<current_{mark}>\n{current}\n</current_{mark}>" in user


@given(any_text)
@settings(max_examples=50, deadline=None)
def test_an_accepted_rewrite_has_the_placeholders_of_the_old_text(current):
    """Whatever the texts: either the same names stand in both, or it is refused."""
    task = Task(current=current)
    for text in ("{name} again", current + " and more", "{{name}}"):
        try:
            check(text, task)
        except RewriteRefused:
            continue
        assert set(placeholders(text)) == set(placeholders(current))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" \n ", "empty"),
        ("Answer about it.", r"lacks the placeholders \{topic\}"),
        ("Answer {{topic}} now.", r"lacks the placeholders \{topic\}"),
        ("Write on {topic} in {language}.", r"no values.*\{language\}"),
        ("Write   on {topic}.\n", "is the current text"),
        ("Say {topic}, at length, with all the details.", "45 characters; at most 40"),
        ("Do {topic}!", "tried before"),
        ("Do {topic} </current_MARK>", "tags of the request"),
        ("Do {topic} <NEW_MARK/>", "tags of the request"),
        ("\u200b\ufeff \u202e", "empty"),
        ("Write on {topic}.\u200b", "is the current text"),
        ("Do {topic}<|im_end|>", r"<\|im_end\|>, which mark turns"),
        ("[INST] Do {topic}", r"\[INST\], which mark turns"),
        ("Do {topic} <end_of_turn>", "which mark turns"),
        ("Do {topic}\0", r"control characters \(U\+0000\)"),
        ("Do \x1b[1m{topic}", r"control characters \(U\+001B\)"),
        ("Do {topic} \ud83d", r"control characters \(U\+D83D\)"),
        ("so far.</think> Do {topic}", "part of your reasoning"),
        ("Do {topic}: {" + "w" * 200 + "}", "characters; at most 40|no values"),
    ],
)
def test_unsafe_texts_are_refused_with_a_reason(text, reason):
    """Each rule speaks for itself."""
    task = Task(current="Write on {topic}.", rejected=("Do {topic}!",), max_length=40)
    with pytest.raises(RewriteRefused, match=reason):
        check(text.replace("MARK", mark_of(task)), task)
    check("Do {topic} well.", task)


@pytest.mark.parametrize(
    ("text", "current", "expected"),
    [
        ("```text\nnew\n```", "old", "new"),
        ("```\nnew\n```", "```\nold\n```", "```\nnew\n```"),
        ("```\na\n```\nand\n```\nb\n```", "old", "```\na\n```\nand\n```\nb\n```"),
        ("use ```x``` here", "old", "use ```x``` here"),
        ("<think>hm</think>\nnew", "old", "new"),
        ("<think>hm</think> new", "Write <think> first", "<think>hm</think> new"),
        ("write <think>hm</think>", "old", "write <think>hm</think>"),
        ("  new \n", "old", "new"),
        ("new\n", "old\n", "new\n"),
    ],
)
def test_debris_is_removed_only_when_it_is_clear(text, current, expected):
    """What the current text has as well may be meant."""
    assert tidy(text, current) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Think in <think> and </think>.",
        "Tab\t, breaks\r\n\n",
        "\u202e\u05e9\u05dc\u05d5\u05dd\u202c",
        "a 😀",
    ],
)
def test_ordinary_texts_are_not_refused(text):
    """Pairs of tags, white space, other scripts and their marks."""
    check(text, Task(current="old"))


@pytest.mark.parametrize("odd", ["<|im_end|>", "[INST]", "\x1b[1m", "</think>"])
def test_what_the_current_text_has_may_stay(odd):
    """Somebody wants it there."""
    check(f"new {odd}", Task(current=f"old {odd}"))


def test_a_reason_stays_short_however_many_placeholders_are_wrong():
    """It goes into the next request, a warning and a record."""
    text = "".join(f"{{x{n}}}" for n in range(9_000)) + "{" + "y" * 90_000 + "}"
    with pytest.raises(RewriteRefused, match="and 8991 more") as caught:
        check(text, Task(current="old"))
    assert len(str(caught.value)) < 1_000


BITS = [
    *("<think>", "</THINK>", "```", "```py\n", "\n", "\r\n", " ", "{a}", "{{a}}", "{"),
    *("\u202e", "\ufeff", "\0", "\ud800", "<|im_end|>", "[INST]", "word", "Do. ", "é"),
    *("TAG", "END", "<current_MARK>", "</NEW_MARK>", "x" * 1_000),
]


@given(st.lists(st.sampled_from(BITS), max_size=4), st.lists(st.sampled_from(BITS)))
@settings(max_examples=400, deadline=None)
def test_whatever_is_accepted_is_safe(current, pieces):
    """From any reply: no tags, no debris, same placeholders, fit to be sent."""
    task = Task(current="".join(p for p in current if p not in ("TAG", "END")))
    mark = mark_of(task)
    tag = tag_of(mark)
    reply = "".join(pieces).replace("TAG", f"<{tag}>").replace("END", f"</{tag}>")
    reply = reply.replace("MARK", mark)
    try:
        text = tidy(extract(reply, tag), task.current)
        check(text, task)
    except RewriteRefused:
        return
    assert text in reply
    assert mark not in text.casefold()
    assert set(placeholders(text)) == set(placeholders(task.current))
    for debris in ("\0", "\ud800", "<|im_end|>", "[INST]"):
        assert debris not in text or debris in task.current


def ask(task, *replies):
    """Return the outcome of a rewrite, and the model that was asked."""
    left = list(replies)

    def reply(messages, **args):
        text = left.pop(0)
        raw = text is None or not text.strip() or text.startswith("!")
        return text if raw else answer(messages, text)

    model = ScriptedModel(reply)
    return run_sync(rewrite(task, model, {})), model


def test_the_model_is_asked_again_with_the_reason():
    """It sees its own reply, what was wrong with it, and the contract again."""
    task = Task(current="Write on {topic}.")
    outcome, model = ask(task, "Write.", "Write well on {topic}.")
    assert (outcome.text, outcome.attempts) == ("Write well on {topic}.", 2)
    first, second = model.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[-2]["role"] == "assistant"
    assert "lacks the placeholders {topic}" in second.messages[-1]["content"]
    assert tag_in(second.messages) == tag_of(mark_of(task))
    assert [request.role for request in model.requests] == ["optimizer"] * 2


@pytest.mark.parametrize("attempts", [1, 3])
def test_after_the_last_attempt_the_rewrite_is_refused(attempts):
    """``attempts`` caps the calls; the reason is the last one."""
    task = Task(current="old", options=RewriteOptions(attempts=attempts))
    outcome, model = ask(task, *["!no tags"] * 5)
    assert outcome.text is None
    assert "lacks" in outcome.reason
    assert outcome.attempts == len(model.requests) == attempts


def test_an_empty_reply_is_not_sent_back_empty():
    """Providers refuse empty assistant turns."""
    _, model = ask(Task(current="old"), None, "new")
    assert model.requests[1].messages[-2]["content"] == "(no text)"
    _, model = ask(Task(current="old"), " \n", "new")
    assert model.requests[1].messages[-2]["content"] == "(no text)"


def test_a_reply_that_cannot_be_encoded_is_sent_back_readable():
    """Lone surrogates would break the next request."""
    _, model = ask(Task(current="old"), "!\ud83d", "new")
    assert model.requests[1].messages[-2]["content"] == "!?"


def test_a_reason_with_braces_is_not_filled():
    """A placeholder named like one of the retry's own stays text."""
    task = Task(current="old")
    _, model = ask(task, "use {contract}", "new")
    shown = model.requests[1].messages[-1]["content"]
    assert "placeholders {contract}; leave" in shown
    assert fill("{a}", {"a": "{b}"}) == "{b}"


def test_100_kb_of_text_is_rewritten_whole():
    """Long prompts are neither cut nor slowed down."""
    current = "Rule {x}: é\r\n" * 8_000
    outcome, model = ask(Task(current=current), current.replace("Rule", "Law"))
    assert outcome.text == current.replace("Rule", "Law")
    assert between(model.requests[0].messages[1]["content"], "current") == current
