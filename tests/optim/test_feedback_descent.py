"""FeedbackDescent: comparisons in words, and who decides."""

from __future__ import annotations

import json

import pytest
from catalogue_helpers import resumed, stepped, user, wanted
from optim_helpers import Rules, answer, between

from afnio.autodiff.credit import credit_mode
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models.testing import ScriptedModel
from afnio.optim import FeedbackDescent
from afnio.optim.gates import Margin


def proposer(bad=1):
    """Return a model that proposes nonsense first, and missing rules then."""
    left = ["nothing"] * bad

    def reply(messages, **args):
        text = messages[1]["content"]
        new = left.pop() if left else [*wanted(text), "more"][0]
        return answer(messages, f"{between(text, 'current')} {new}")

    return ScriptedModel(reply)


def judge(preferred="first", rationale="It names the rule."):
    """Return a model that compares."""
    found = {"rationale": rationale, "preferred": preferred}
    return ScriptedModel(json.dumps(found))


def step(world, steps=1, **options):
    """Return an optimizer after some steps."""
    asked = options.pop("model", None) or proposer()
    return stepped(
        FeedbackDescent, world, steps, asked, **{"judge": judge(), **options}
    )


def test_the_judge_sees_both_answers_to_the_same_samples():
    """With input, what is expected, and scores."""
    asked = judge()
    step(Rules(), judge=asked, batch_size=3)
    text = user(asked)
    for part in ("input q: ", "expected: ", "first version's answer: "):
        assert text.count(part) == 3
    assert text.count("second version's score: 0") == 3


def test_what_was_said_is_shown_until_a_win():
    """Then only the win is remembered."""
    asked = proposer(bad=2)
    opt = step(Rules(), 5, model=asked)
    assert [r.accepted for r in opt.history] == [False, False, True, True, True]
    third, fourth = user(asked, 2), user(asked, 3)
    assert third.count("It names the rule.") == 2
    assert "Answer. nothing" in third
    assert "the current text was preferred" in third
    assert fourth.count("It names the rule.") == 1
    assert "nothing" not in fourth
    assert "by a mean score of 0.250 on 12 examples" in fourth
    assert all(record.rationale for record in opt.history)


def test_rationales_bounds_what_is_shown():
    """The latest ones, or none."""

    def shown(count):
        asked = proposer(bad=3)
        step(Rules(), 4, model=asked, rationales=count)
        return user(asked, 3).count("It names the rule.")

    assert [shown(0), shown(1), shown(2)] == [0, 1, 2]


def test_either_version_may_come_first():
    """And the rationale says which was which."""
    opt = step(Rules(), 6, model=proposer(bad=6))
    orders = {record.rationale.split(")")[0] for record in opt.history}
    assert orders == {
        "(first version: the new text; second: the old one",
        "(first version: the old text; second: the new one",
    }


def test_the_judge_may_decide_alone():
    """Without any validation; its word is the reason."""
    world = Rules()
    opt = step(world, 4, prefer="judge", batch_size=4, model=proposer(bad=9))
    assert len(world.forward.requests) == 4 * 8
    for record in opt.history:
        first = "first version: the new" in record.rationale
        assert record.accepted is first
        assert record.reason.startswith("the judge ")
    neither = step(Rules(), 3, prefer="judge", judge=judge("neither"))
    assert not any(record.accepted for record in neither.history)


def test_scores_decide_by_default():
    """Whatever the judge says; by the gate."""
    opt = step(Rules(), 4, judge=judge("neither"), model=proposer(bad=0))
    assert all(record.accepted for record in opt.history)
    strict = step(Rules(), 2, gate=Margin(0.9), model=proposer(bad=0))
    assert not any(record.accepted for record in strict.history)


def test_without_a_judge_the_proposer_compares():
    """With the same client."""

    def reply(messages, **args):
        if messages[1]["content"].startswith("Compare"):
            return json.dumps({"rationale": "So so.", "preferred": "second"})
        return answer(messages, "alpha")

    opt = step(Rules(), model=ScriptedModel(reply), judge=None)
    assert opt.calls["judge"] == 1
    assert opt.history[0].rationale.endswith("So so.")


@pytest.mark.parametrize("bad", ["", "yes", '{"rationale": "x", "preferred": "both"}'])
def test_an_unusable_comparison_is_no_preference(bad):
    """Scores decide without it; a judge who is to decide accepts nothing."""
    asked = ScriptedModel(bad)
    opt = step(Rules(), judge=asked, model=proposer(bad=0))
    assert len(asked.requests) == 3
    assert opt.history[0].accepted
    assert opt.history[0].rationale == ""
    opt = step(Rules(), judge=ScriptedModel(bad), prefer="judge")
    assert not opt.history[0].accepted
    assert opt.history[0].reason.startswith("no usable comparison")


def test_without_training_samples_scores_are_told():
    """And no judge is asked."""
    world, asked = Rules(), judge()
    with credit_mode("passthrough"):
        world.evaluate(world.train[:4])[1].backward()
    opt = FeedbackDescent([world.prompt], proposer(bad=0), judge=asked)
    opt.step(world.closure(train=False))
    assert asked.requests == []
    assert opt.history[0].accepted
    with pytest.raises(StateError, match="training samples"):
        FeedbackDescent([world.prompt], proposer(), prefer="judge").step(
            world.closure(train=False)
        )


def test_a_resumed_run_has_the_same_history():
    """State is JSON."""
    world = Rules()

    def make():
        options = {"judge": judge(), "seed": 3, "proposals": 2}
        return FeedbackDescent([world.prompt], proposer(bad=0), **options)

    whole, again = resumed(make, world.closure, [world.prompt])
    assert whole == again


def test_options_are_checked():
    """By name; the closest word is named."""
    prompt = Rules().prompt
    with pytest.raises(InputValueError, match="did you mean 'scores'"):
        FeedbackDescent([prompt], prefer="score")
    with pytest.raises(InputTypeError, match="judge must be a chat client"):
        FeedbackDescent([prompt], judge="openai/gpt")
    for name in ("proposals", "batch_size"):
        with pytest.raises(InputValueError, match=name):
            FeedbackDescent([prompt], **{name: 0})
    with pytest.raises(InputValueError, match="rationales"):
        FeedbackDescent([prompt], rationales=-1)
