"""The words of a rewrite, pinned, and what every option changes in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from optim_helpers import FULL, sample

from afnio.errors import InputValueError, TemplateError
from afnio.optim._options import RewriteOptions
from afnio.optim._prompts import Task, mark_of, render

SNAPSHOT = Path(__file__).parent / "rewrite_prompt.txt"


def written(task):
    """Return the messages as one text."""
    turns = render(task)
    return "\n".join(f"== {turn['role']}\n{turn['content']}" for turn in turns)


def test_the_whole_prompt_is_pinned():
    """Change the snapshot on purpose only; prompts are product."""
    assert written(FULL).replace(mark_of(FULL), "MARK") == SNAPSHOT.read_text("utf-8")


def test_parts_without_content_leave_no_trace():
    """No empty tags and no run of blank lines."""
    user = render(Task(current="Hi"))[1]["content"]
    assert user.startswith("Rewrite the current text.\n\n<current_")
    assert "\n\n\n" not in user
    for tag in ("role_", "version_", "constraint_", "feedback_"):
        assert tag not in user


def shown(records, **options):
    """Return the user message with these failures."""
    task = Task(current="x", failures=records, options=RewriteOptions(**options))
    return render(task)[1]["content"]


def test_sample_chars_cuts_values_of_examples():
    """The middle goes, and the text says how much of it."""
    record = (sample(0, "a" * 500),)
    assert "a" * 500 in shown(record)
    assert "400 characters cut here" in shown(record, sample_chars=100)


def test_feedback_chars_cuts_feedback():
    """The same for one piece of feedback."""
    options = RewriteOptions(feedback_chars=100)
    task = Task(current="x", feedback=("b" * 500,), options=options)
    assert "400 characters cut here" in render(task)[1]["content"]


def test_custom_messages_get_what_they_ask_for():
    """Reserved placeholders and inputs are filled, and nothing is appended twice."""
    turns = (
        ("system", "You are {persona}."),
        ("user", "{role}|{current}|{feedback}|{constraints}|{history}\n{reply}"),
    )
    task = Task(
        current="T",
        role="R",
        feedback=("F",),
        constraints=("C",),
        history=(("H", ()),),
        turns=turns,
        inputs={"persona": "{role} of the {current}"},
    )
    system, user = render(task)
    assert system["content"] == "You are {role} of the {current}."
    for text in "RTFCH":
        assert f"\n{text}\n" in user["content"]
    assert user["content"].count("complete new text between") == 1


def test_what_custom_messages_leave_out_is_appended():
    """The contract always; the text and its feedback where no message shows it."""
    turns = (("user", "Show me."), ("assistant", "I see."))
    last = render(Task(current="T", feedback=("F",), turns=turns))[-1]
    assert last["role"] == "user"
    assert "\nT\n" in last["content"]
    assert "\nF\n" in last["content"]
    assert "complete new text between" in last["content"]
    one = render(Task(current="T", turns=(("user", "Improve {current}"),)))
    assert len(one) == 1
    assert one[0]["content"].startswith("Improve <current_")
    assert "complete new text between" in one[0]["content"]


def test_inputs_must_be_used_and_not_reserved():
    """Both mistakes are named."""
    with pytest.raises(TemplateError, match="'extra'"):
        render(Task(current="x", inputs={"extra": "y"}))
    with pytest.raises(InputValueError, match="'feedback'"):
        render(Task(current="x", inputs={"feedback": "y"}))


def test_options_must_be_possible():
    """Nothing below its least value."""
    with pytest.raises(InputValueError, match="candidates"):
        RewriteOptions(candidates=0)
    with pytest.raises(InputValueError, match="failures"):
        RewriteOptions(failures=-1)
    assert RewriteOptions(failures=0).failures == 0
