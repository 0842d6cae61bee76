"""The critic's prompt and the parsing of its reply; pure, so tested directly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio._dispatch import run_sync
from afnio.autodiff import _critic, _prompts
from afnio.autodiff._critic import Case, Target, parse_critic, render_critic
from afnio.errors import ContextLengthError, GradientCountError, ReplyError
from afnio.models import set_backward_model_client
from afnio.models.testing import ScriptedModel, feedback

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


class TestLimits:
    @given(st.lists(st.integers(0, 500)), st.integers(0, 2000))
    def test_fair_share(self, sizes, limit):
        """What is cut to the share fits, and short texts are left whole."""
        share = _critic.fair_share(sizes, limit)
        assert sum(min(size, share) for size in sizes) <= limit
        if sum(sizes) <= limit:
            assert all(size <= share for size in sizes)
        else:
            assert sum(min(size, share + 1) for size in sizes) > limit

    def test_many_texts_stay_under_a_limit_together(self):
        """100 long messages and inputs make a prompt of a bounded size."""
        turns = tuple({"role": "user", "content": "x" * 5_000} for _ in range(100))
        targets = [Target(f"input_{i}", "r", "y" * 5_000) for i in range(100)]
        prompt = render_critic(Case(turns, "Hello!", "bad", "r"), targets)[1]["content"]
        assert len(prompt) < _critic.PROMPT_LIMIT + 25_000  # fences and notes of cuts
        assert prompt.count("characters cut here") == 200
        assert "Hello!" in prompt
        assert "bad" in prompt

    def test_both_ends_survive_a_cut(self):
        """The middle goes: what is asked for first and last stays."""
        text = f"FIRST{'x' * 50_000}LAST"
        prompt = render_critic(case(text), [TARGET])[1]["content"]
        assert "FIRST" in prompt
        assert "LAST" in prompt

    def test_a_prompt_that_does_not_fit_is_cut_and_sent_again(self):
        """A model with a small context gets a smaller prompt, not an error."""
        client = small_model(4_000)
        found = criticize(client, case("x" * 10_000))
        assert found.texts == ("be brief",)
        sizes = [len(request.messages[1]["content"]) for request in client.requests]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[-1] < 4_000 < sizes[-2]
        assert "characters cut here" in str(found.messages)

    def test_a_context_too_small_for_anything_is_an_error(self):
        """There is an end to cutting, and the model's own error is raised."""
        client = small_model(10)
        with pytest.raises(ContextLengthError):
            criticize(client, case())
        assert len(client.requests) == 1
        with pytest.raises(ContextLengthError):
            criticize(client, case("x" * 10_000))
        assert len(client.requests) == 5

    def test_a_reply_quoted_back_is_cut_too(self):
        """An endless unusable reply does not fill the next prompt."""
        client = ScriptedModel(["x" * 100_000, '{"input_1": "ok"}'])
        assert criticize(client, case()).texts == ("ok",)
        quoted = client.requests[1].messages[2]["content"]
        assert len(quoted) < 13_000
        assert "88000 characters cut here" in quoted


def small_model(limit):
    """Return a critic that refuses prompts with more characters than the limit."""
    answer = feedback("be brief")

    def reply(messages, **args):
        if len(messages[1]["content"]) > limit:
            raise ContextLengthError("too long", model="small")
        return answer(messages, **args)

    return ScriptedModel(reply)


def criticize(client, about):
    """Ask the critic about one target."""
    with set_backward_model_client(client):
        return run_sync(_critic.acriticize(about, [TARGET], 0))
