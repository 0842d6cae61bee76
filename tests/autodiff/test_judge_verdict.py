"""LMJudgeEvaluator: score ranges and constrained replies."""

from __future__ import annotations

import json

import pytest

from afnio import Variable
from afnio.autodiff.evaluator import LMJudgeEvaluator
from afnio.errors import InputTypeError, InputValueError, ReplyError
from afnio.models.testing import ScriptedModel

ASK = [{"role": "user", "content": [Variable("Rate {prediction}.")]}]


def verdict(score, explanation="because"):
    """Return a judge's reply."""
    return json.dumps({"score": score, "explanation": explanation})


def judged(replies, prediction="p", **options):
    """Return the judge and its score."""
    judge = ScriptedModel(replies)
    prediction = Variable(prediction, "essay", requires_grad=True)
    return judge, LMJudgeEvaluator.apply(judge, ASK, prediction, **options)[0]


@pytest.mark.parametrize("bad", [0, 6, True, "4", None, float("nan"), 1e999])
def test_only_scores_in_the_range_count(bad):
    """Any other verdict is asked for again, with the range; then it is an error."""
    judge, score = judged([verdict(bad), verdict(4)], score_range=(1, 5))
    assert score.data == 4
    assert "a number from 1 to 5" in judge.requests[1].messages[-1]["content"]
    _, score = judged([verdict(bad)] * 3, score_range=(1, 5))
    with pytest.raises(ReplyError, match="a number from 1 to 5"):
        score.data


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_are_finite_without_a_range_too(bad):
    """What is no number is no score."""
    assert judged([verdict(bad), verdict(2)])[1].data == 2


def test_the_best_score_is_the_end_of_the_range():
    """With a range, its end is success and 1 is not, unless success_fn says so."""
    judge = ScriptedModel([verdict(5), verdict(1)])
    essays = Variable(["a", "b"], "essay", requires_grad=True)
    score, explanation = LMJudgeEvaluator.apply(judge, ASK, essays, score_range=(1, 5))
    explanation.backward()
    assert [record.success for record in score.evidence] == [True, False]
    assert [bool(text) for text in essays.grad[0].data] == [False, True]
    _, score = judged([verdict(4)], score_range=(1, 5), success_fn=lambda s: min(s) > 3)
    assert score.evidence[0].success


def test_the_schema_is_sent_and_explains_first():
    """The reply is constrained to explanation and score, in this order."""
    judge, score = judged([verdict(3)], score_range=(1, 5), response_schema=True)
    assert score.data == 3
    sent = judge.requests[0].args["response_format"]
    schema = sent["json_schema"]["schema"]
    assert sent["type"] == "json_schema"
    assert list(schema["properties"]) == ["explanation", "score"]
    assert schema["required"] == ["explanation", "score"]
    assert schema["properties"]["score"]["type"] == "number"
    assert "from 1 (worst) to 5 (best)" in schema["properties"]["score"]["description"]


def test_without_a_range_the_schema_allows_every_kind():
    """Numbers, bools and texts are scores; without the option nothing is sent."""
    judge, score = judged([verdict("good")], response_schema=True)
    assert score.data == "good"
    schema = judge.requests[0].args["response_format"]["json_schema"]["schema"]
    kinds = [kind["type"] for kind in schema["properties"]["score"]["anyOf"]]
    assert kinds == ["number", "boolean", "string"]
    judge, score = judged([verdict(1)])
    score.data
    assert "response_format" not in judge.requests[0].args


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"score_range": 5}, InputTypeError),
        ({"score_range": (1, "5")}, InputTypeError),
        ({"score_range": (1, 2, 3)}, InputTypeError),
        ({"score_range": (5, 1)}, InputValueError),
        ({"score_range": (0, float("inf"))}, InputValueError),
        ({"response_schema": "yes"}, InputTypeError),
        ({"response_schema": True, "response_format": {}}, InputValueError),
    ],
)
def test_options_are_checked_at_the_call(options, error):
    """Nothing is sent for an option that cannot be."""
    judge = ScriptedModel([])
    with pytest.raises(error):
        LMJudgeEvaluator.apply(judge, ASK, Variable("p"), **options)
    assert not judge.requests


def test_nothing_to_judge_is_an_error_not_a_score():
    """A scalar None is refused; in a batch it has no score and is not sent."""
    with pytest.raises(InputTypeError, match="no prediction"):
        judged([verdict(1)], None)
    judge, score = judged([verdict(1)], ["a", None])
    assert score.data == 1
    assert [record.score for record in score.evidence] == [1, None]
    assert len(judge.requests) == 1
    _, score = judged([], [None])
    assert score.data is None
