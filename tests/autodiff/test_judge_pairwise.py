"""PairwiseJudgeEvaluator: both orders, scores, and feedback when it does not win."""

from __future__ import annotations

import json

import pytest

from afnio import Variable
from afnio.autodiff.evaluator import PairwiseJudgeEvaluator
from afnio.errors import InputTypeError, InputValueError, ReplyError, TemplateError
from afnio.models.testing import ScriptedModel


def chat(text="1: {first}\n2: {second}"):
    """Return the judge's messages."""
    return [{"role": "user", "content": [Variable(text, "rubric", requires_grad=True)]}]


def verdict(winner, explanation="because"):
    """Return a judge's reply."""
    return json.dumps({"explanation": explanation, "winner": winner})


def prefers(best):
    """Return a judge that prefers an answer, whatever its place."""

    def judge(messages, **args):
        first, second = messages[0]["content"].splitlines()
        if (best in first) == (best in second):
            return verdict("tie", "alike")
        return verdict("first" if best in first else "second", f"it has {best}")

    return ScriptedModel(judge)


def compare(judge, prediction="mine", target="yours", **options):
    """Return the prediction, its score and the explanation."""
    prediction = Variable(prediction, "essay", requires_grad=True)
    pair = PairwiseJudgeEvaluator.apply(judge, chat(), prediction, target, **options)
    return prediction, *pair


@pytest.mark.parametrize(("best", "score"), [("mine", 1), ("yours", 0), ("other", 0.5)])
def test_scores(best, score):
    """Winning in both orders is 1, losing in both 0, a tie 0.5."""
    judge = prefers(best)
    assert compare(judge)[1].data == score
    contents = {request.messages[0]["content"] for request in judge.requests}
    assert contents == {"1: mine\n2: yours", "1: yours\n2: mine"}
    assert {request.role for request in judge.requests} == {"judge"}


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_judge_that_prefers_a_place_decides_nothing(place):
    """Verdicts that contradict each other are a tie; one order alone is fooled."""
    judge = ScriptedModel(lambda messages, **args: verdict(place))
    assert compare(judge)[1].data == 0.5
    _, score, _ = compare(judge, swap=False)
    assert score.data == (1 if place == "first" else 0)


def test_winning_once_and_a_tie_is_no_win():
    """A win counts only when both orders agree on it."""
    judge = ScriptedModel([verdict("first"), verdict("tie")])
    assert compare(judge)[1].data == 0.5


def test_feedback_when_it_does_not_win():
    """The loser hears why, from both orders; the winner hears nothing."""
    prediction, score, explanation = compare(
        prefers("good"), ["good one", "bad one"], ["bad ref", "good ref"]
    )
    explanation.backward()
    won, lost = prediction.grad[0].data
    assert won == ""
    assert "Shown as the first answer it lost: it has good" in lost
    assert "Shown as the second answer it lost: it has good" in lost
    assert score.data == 1
    assert [record.score for record in score.evidence] == [1, 0]
    assert "it lost: it has good" in score.evidence[1].critique
    assert "it lost: it has good" in explanation.data


def test_only_the_prediction_gets_feedback():
    """Rubric and reference get none, and without a tracked prediction there is none."""
    reference = Variable("yours", requires_grad=True)
    turns = chat()
    prediction = Variable("mine", requires_grad=True)
    score, _ = PairwiseJudgeEvaluator.apply(
        prefers("yours"), turns, prediction, reference
    )
    score.backward()
    assert prediction.grad[0].data
    assert turns[0]["content"][0].grad == reference.grad == []
    score, _ = PairwiseJudgeEvaluator.apply(
        prefers("yours"), turns, Variable("mine"), reference
    )
    assert score.is_leaf


def test_unusable_verdicts_are_an_error():
    """The judge is asked again; in the end it is an error, not a score."""
    judge = ScriptedModel(["no", verdict("third"), verdict(" First ")])
    assert compare(judge, swap=False)[1].data == 1
    assert '"first", "second" or "tie"' in judge.requests[1].messages[-1]["content"]
    _, score, _ = compare(ScriptedModel([verdict("third")] * 3), swap=False)
    with pytest.raises(ReplyError, match="winner"):
        score.data


def test_the_schema_is_sent():
    """The reply is constrained to a winner when that is asked for."""
    judge = prefers("mine")
    compare(judge, response_schema=True, temperature=0)[1].data
    schema = judge.requests[0].args["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["winner"]["enum"] == ["first", "second", "tie"]
    assert judge.requests[0].args["temperature"] == 0


def test_missing_samples_have_no_score():
    """None on either side is not sent and does not count."""
    judge = prefers("mine")
    _, score, _ = compare(
        judge, ["mine", None, "mine"], ["a", "b", None], reduction_fn=None
    )
    assert score.data == [1, None, None]
    assert len(judge.requests) == 2


def test_inputs_fill_the_rubric():
    """Further placeholders come from inputs, one per sample if they are a list."""
    judge = ScriptedModel(verdict("tie"))
    PairwiseJudgeEvaluator.apply(
        judge,
        chat("{topic}: {first} or {second}?"),
        Variable(["a", "b"]),
        "c",
        {"topic": ["x", "y"]},
        swap=False,
    )[0].data
    sent = [request.messages[0]["content"] for request in judge.requests]
    assert sent == ["x: a or c?", "y: b or c?"]


@pytest.mark.parametrize(
    ("args", "options", "error"),
    [
        ((chat(), Variable(["a"]), ["b", "c"]), {}, InputValueError),
        ((chat(), Variable("a"), ["b", "c"]), {}, InputValueError),
        ((chat(), Variable("a"), None), {}, InputTypeError),
        ((chat(), Variable(None), "b"), {}, InputTypeError),
        ((chat(), "a", "b"), {}, InputTypeError),
        ((chat(), Variable("a"), "b"), {"swap": "yes"}, InputTypeError),
        ((chat(), Variable("a"), "b"), {"inputs": {"first": "x"}}, InputValueError),
        ((chat(), Variable("a"), "b"), {"inputs": {"topic": "x"}}, TemplateError),
        ((chat("only {first}"), Variable("a"), "b"), {}, TemplateError),
        (
            (chat("{x} {first} {second}"), Variable("a"), "b"),
            {"inputs": {"x": ["1", "2"]}},
            InputValueError,
        ),
    ],
)
def test_wrong_arguments(args, options, error):
    """Everything known is checked at the call, and nothing is sent."""
    judge = ScriptedModel([])
    with pytest.raises(error):
        PairwiseJudgeEvaluator.apply(judge, *args, **options)
    assert not judge.requests
