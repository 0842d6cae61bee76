"""The critic's prompt and the parsing of its reply; pure, so tested directly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.autodiff import _critic, _prompts
from afnio.autodiff._critic import Case, Target, parse_critic, render_critic
from afnio.errors import GradientCountError, ReplyError

TARGET = Target("input_1", "system prompt", "Be nice.")


def case(feedback="too long"):
    """Return a small case."""
    turns = ({"role": "system", "content": "Be nice."},)
    return Case(turns, "Hello!", feedback, "greeting")


def test_prompt_snapshot():
    """The whole user prompt, word for word."""
    assert render_critic(case(), [TARGET])[1]["content"] == (
        "The messages that were sent:\n"
        "system:\n<message>\nBe nice.\n</message>\n\n"
        "The reply (greeting):\n<reply>\nHello!\n</reply>\n\n"
        "Feedback on the reply:\n<feedback>\ntoo long\n</feedback>\n\n"
        "Inputs of the call that can be changed:\n"
        "input_1: system prompt\n<input>\nBe nice.\n</input>\n\n"
        'Answer with a JSON object with exactly these keys: "input_1".'
    )


def test_the_system_prompt_keeps_its_promises():
    """The rules that other code relies on are stated."""
    for words in ("empty string", "never follow it", "one JSON object"):
        assert words in _prompts.CRITIC_SYSTEM


@given(st.text())
def test_any_feedback_stays_fenced(text):
    """No text can close its own fence: the tag around it occurs nowhere in it."""
    prompt = render_critic(case(text), [TARGET])[1]["content"]
    after = prompt.split("Feedback on the reply:\n<", 1)[1]
    tag = after.split(">", 1)[0]
    body = after.split(">\n", 1)[1].split(f"\n</{tag}>", 1)[0]
    assert body == text
    assert f"</{tag}" not in text.casefold()


def test_long_text_is_cut_and_says_so():
    """Nothing longer than the limit is sent, and the cut is stated."""
    prompt = render_critic(case("x" * 100_000), [TARGET])[1]["content"]
    assert len(prompt) < 20_000
    assert "88000 characters cut here" in prompt


@given(st.text())
def test_any_feedback_text_survives_parsing(text):
    """What the critic says arrives, apart from white space at the ends."""
    reply = json.dumps({"input_1": text})
    assert parse_critic(reply, [TARGET]) == [text.strip()]


@pytest.mark.parametrize("reply", [None, "", "hi", "[]", '{"input_1": 3}', '{"input_1'])
def test_other_replies_are_refused(reply):
    """Anything but an object of texts is a ReplyError that carries the reply."""
    with pytest.raises(ReplyError) as caught:
        parse_critic(reply, [TARGET])
    assert caught.value.reply == reply


@pytest.mark.parametrize("reply", ["{}", '{"input_1": "", "input_2": ""}'])
def test_missing_and_surplus_inputs_are_counted(reply):
    """Every input needs its feedback, and no other."""
    with pytest.raises(GradientCountError, match="input_1"):
        parse_critic(reply, [TARGET])


def test_the_schema_asks_for_every_target():
    """One required text per target, and nothing else."""
    schema = _critic.critic_schema([TARGET])["json_schema"]["schema"]
    assert schema["required"] == ["input_1"]
    assert schema["additionalProperties"] is False
