"""Critics, judges and optimizers ask again alike; what differs is listed here."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from afnio._dispatch import run_sync
from afnio.autodiff._chat import Sample
from afnio.autodiff._critic import MAX_TRIES, Case, Target, acriticize, repair
from afnio.autodiff._verdict_evaluator import WINNER_FORM, ajudge, score_form
from afnio.errors import (
    ContextLengthError,
    GradientCountError,
    InputValueError,
    ReplyError,
)
from afnio.models import set_backward_model_client
from afnio.models.testing import ScriptedModel
from afnio.optim._question import Question, answered, read_object

TARGET = Target("input_1", "system prompt", "Be nice.")
TURNS = ({"role": "user", "content": "Is it good?"},)


def criticize(model):
    """Ask the critic about one input, as the eighth sample."""
    case = Case(TURNS, "Hello!", "too long", "greeting")
    with set_backward_model_client(model):
        return run_sync(acriticize(case, [TARGET], 7)).texts


def judge(model, form=None):
    """Ask the judge about one sample, the eighth."""
    sample = Sample(7, TURNS, {})
    return run_sync(ajudge(model, sample, {}, form or score_form(None)))[0]


def compare(model):
    """Ask the judge which of two is better."""
    return judge(model, WINNER_FORM)


def question(model):
    """Ask as optimizers do."""
    asked = Question(client=model, messages=TURNS, contract="Answer {reason}.")
    return run_sync(answered(asked, read_object, {}))


ALL = pytest.mark.parametrize("ask", [criticize, judge, compare, question])
RAISING = pytest.mark.parametrize("ask", [criticize, judge, compare])

UNUSABLE = st.text(st.characters(exclude_characters="{", codec="utf-8")).map(
    "no{reason}".__add__
)
"""No object can begin in it."""


@ALL
@given(replies=st.lists(UNUSABLE, min_size=3, max_size=3))
def test_the_conversation_grows_by_the_reply_and_the_complaint(ask, replies):
    """The question stays as it was; braces in a reply are text."""
    model = ScriptedModel([*replies, "never asked for"])
    if ask is question:
        assert ask(model).value is None
    else:
        with pytest.raises(ReplyError):
            ask(model)
    assert len(model.requests) == MAX_TRIES
    said = [list(request.messages) for request in model.requests]
    for before, after in itertools.pairwise(said):
        assert after[: len(before)] == before
        assert [turn["role"] for turn in after[len(before) :]] == ["assistant", "user"]
        assert after[-2]["content"].startswith("no{reason}")
        assert "cannot be used: " in after[-1]["content"]
        assert "cannot be used: {reason}" not in after[-1]["content"]


@RAISING
def test_the_last_reply_is_in_the_error(ask):
    """As it came, with a note of how often was asked."""
    with pytest.raises(ReplyError) as caught:
        ask(ScriptedModel(["first", "second", " third "]))
    assert caught.value.reply == " third "
    assert any(f"unusably {MAX_TRIES} times" in note for note in caught.value.__notes__)


@RAISING
def test_one_question_has_one_sample_index(ask):
    """However often it is asked again."""
    model = ScriptedModel(["no"] * 3)
    with pytest.raises(ReplyError):
        ask(model)
    expected = 7 if ask is criticize else 0
    assert [request.sample_index for request in model.requests] == [expected] * 3


def test_an_optimizer_numbers_every_question_for_itself():
    """Two that ask the same get replies of their own, also to what is asked again."""
    model = ScriptedModel(["no"] * 6)
    question(model)
    assert question(model).attempts == MAX_TRIES
    assert [r.sample_index for r in model.requests] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("ask", "good"),
    [
        (criticize, '{"input_1": "ok"}'),
        (judge, '{"score": 1, "explanation": "ok"}'),
        (compare, '{"winner": "tie", "explanation": "ok"}'),
        (question, "{}"),
    ],
)
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_usable_reply_ends_it(ask, good, bad):
    """The first one, whatever came before."""
    model = ScriptedModel(["no"] * bad + [good] * 2)
    ask(model)
    assert len(model.requests) == bad + 1


@ALL
def test_only_replies_are_asked_for_again(ask):
    """What the call itself raises goes up at once."""

    def refuse(messages, **args):
        raise InputValueError("the provider's own")

    model = ScriptedModel(refuse)
    with pytest.raises(InputValueError, match="the provider's own") as caught:
        ask(model)
    assert len(model.requests) == 1
    assert not hasattr(caught.value, "__notes__")


def test_a_judge_that_answers_in_a_class_is_asked_again():
    """What does not fit the class is an unusable reply too."""

    class Verdict(BaseModel):
        score: int
        explanation: str

    model = ScriptedModel(["no", '{"score": 1, "explanation": "fine"}'])
    sample = Sample(7, TURNS, {})
    args = {"response_format": Verdict}
    assert run_sync(ajudge(model, sample, args, score_form(None)))[0] == (1, "fine")
    said, asked = model.requests[1].messages[-2:]
    assert said["content"] == "no"
    assert "does not fit Verdict" in asked["content"]


def test_other_keys_than_asked_for_are_asked_for_again():
    """The critic's second kind of unusable reply."""
    model = ScriptedModel(['{"input_2": "x"}'] * 3)
    with pytest.raises(GradientCountError) as caught:
        criticize(model)
    assert len(model.requests) == MAX_TRIES
    assert "unusably 3 times" in caught.value.__notes__[0]
    assert caught.value.reply == '{"input_2": "x"}'


def test_a_prompt_cut_to_fit_is_no_try_and_drops_what_was_said():
    """After a prompt that does not fit, the critic's shorter one begins anew."""
    sizes = []

    def reply(messages, **args):
        sizes.append(len(messages))
        if len(sizes) == 2:
            raise ContextLengthError("too long", model="small")
        return "no" if len(sizes) < 4 else '{"input_1": "ok"}'

    case = Case(TURNS, "x" * 10_000, "too long", "greeting")
    with set_backward_model_client(ScriptedModel(reply)):
        found = run_sync(acriticize(case, [TARGET], 0))
    assert found.texts == ("ok",)
    assert sizes == [2, 4, 2, 4]


def test_the_turns_word_for_word():
    """A long reply is cut, and what is wrong is written in once."""
    said, asked = repair("x" * 20_000, "Bad: {reason}", ValueError("{reason}!"))
    assert said["role"] == "assistant"
    assert "8000 characters cut here" in said["content"]
    assert asked == {"role": "user", "content": "Bad: {reason}!"}
    assert repair("short", "", ValueError())[0]["content"] == "short"


@ALL
@pytest.mark.parametrize("reply", [None, "", " \n"])
def test_an_empty_reply_is_not_sent_back_empty(ask, reply):
    """Providers refuse empty turns, so nobody could be asked again."""
    model = ScriptedModel([reply, "no", "no"])
    with contextlib.suppress(ReplyError):
        ask(model)
    assert model.requests[1].messages[-2]["content"] == "(no text)"
