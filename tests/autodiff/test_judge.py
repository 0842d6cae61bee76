"""LMJudgeEvaluator: verdicts, and who gets the feedback."""

from __future__ import annotations

import json

import pytest

from afnio import Variable
from afnio.autodiff.evaluator import ExactMatchEvaluator, LMJudgeEvaluator
from afnio.errors import ReplyError
from afnio.models._roles import set_backward_model_client
from afnio.models.testing import ScriptedModel

RUBRIC = "Is {prediction} as good as {target}?"


def messages(requires_grad=False):
    """Return the judge's messages and their one Variable."""
    rubric = Variable(RUBRIC, "judge's instructions", requires_grad)
    return rubric, [{"role": "user", "content": [rubric]}]


def verdict(score, explanation="because"):
    """Return a judge's reply."""
    return json.dumps({"score": score, "explanation": explanation})


def test_e11_scalar_verdict():
    """Score and explanation are the judge's own."""
    judge = ScriptedModel([verdict(False, "too short")])
    score, explanation = LMJudgeEvaluator.apply(
        judge, messages()[1], Variable("hi", "greeting"), "hello"
    )
    assert score.data is False
    assert explanation.data == "too short"
    assert judge.requests[0].messages[0]["content"] == "Is hi as good as hello?"
    assert judge.requests[0].role == "judge"


def test_e12_batch_keeps_every_explanation():
    """Scores are summed and each sample's explanation is listed."""
    judge = ScriptedModel(
        lambda messages, **args: verdict("b" in messages[0]["content"], "it is so")
    )
    score, explanation = LMJudgeEvaluator.apply(
        judge,
        [{"role": "user", "content": [Variable("{prediction}")]}],
        Variable(["a", "b"], "letters"),
    )
    assert score.data == 1
    assert explanation.data.count("it is so") == 2
    assert explanation.data.endswith("score: 1.")
    assert [record.score for record in score.evidence] == [False, True]


def test_e13_unusable_verdicts_are_an_error():
    """Three unusable replies raise; a usable one after a bad one counts."""
    judge = ScriptedModel(["no", "{}", '{"score": null, "explanation": ""}'])
    score, _ = LMJudgeEvaluator.apply(judge, messages()[1], Variable("p"), "t")
    with pytest.raises(RuntimeError) as caught:
        score.data
    assert isinstance(caught.value, ReplyError)
    judge = ScriptedModel(["no", verdict(3)])
    assert LMJudgeEvaluator.apply(judge, messages()[1], Variable("p"), "t")[0].data == 3


def test_e14_reserved_names_are_refused():
    """Prediction and target come from their arguments."""
    with pytest.raises(ValueError, match="prediction"):
        LMJudgeEvaluator.apply(
            ScriptedModel([]), messages()[1], Variable("p"), inputs={"prediction": "x"}
        )


def test_e15_the_prediction_gets_the_explanation_without_a_critic():
    """In eval mode only the prediction gets feedback, and no model is asked."""
    rubric, turns = messages(requires_grad=True)
    prediction = Variable("p", "essay", requires_grad=True)
    _, explanation = LMJudgeEvaluator.apply(
        ScriptedModel([verdict(0.2, "dull")]), turns, prediction, "t"
    )
    explanation.backward()
    assert "dull" in prediction.grad[0].data
    assert rubric.grad == []


def test_e16_the_judge_is_trained_by_feedback_on_its_score():
    """With eval_mode False the messages get feedback and the prediction none."""
    rubric, turns = messages(requires_grad=True)
    prediction = Variable("p", "essay", requires_grad=True)
    score, _ = LMJudgeEvaluator.apply(
        ScriptedModel([verdict("bad")]), turns, prediction, "t", eval_mode=False
    )
    _, explanation = ExactMatchEvaluator.apply(score, "good")
    critic = ScriptedModel(['{"input_1": "Define good."}'])
    with set_backward_model_client(critic):
        explanation.backward()
    assert rubric.grad[0].data == "Define good."
    assert prediction.grad == []


def test_a_judge_that_agrees_with_the_labels_is_left_alone():
    """A low score that people gave too is no fault of the judge: no critic call."""
    rubric, turns = messages(requires_grad=True)
    score, _ = LMJudgeEvaluator.apply(
        ScriptedModel([verdict("bad")]), turns, Variable("p"), "t", eval_mode=False
    )
    _, explanation = ExactMatchEvaluator.apply(score, "bad")
    with set_backward_model_client(ScriptedModel()):
        explanation.backward()
    assert [grad.data for grad in rubric.grad] == [""]


def test_e16_a_judge_that_is_the_root_reviews_itself():
    """Without feedback from further on, failing verdicts are reviewed."""
    rubric, turns = messages(requires_grad=True)
    _, explanation = LMJudgeEvaluator.apply(
        ScriptedModel([verdict(0)]), turns, Variable("p"), "t", eval_mode=False
    )
    critic = ScriptedModel(['{"input_1": "Say when to give 1."}'])
    with set_backward_model_client(critic):
        explanation.backward()
    assert rubric.grad[0].data == "Say when to give 1."


def test_e17_untracked_prediction_gives_untracked_outputs():
    """A tracked rubric alone records nothing in eval mode."""
    _, turns = messages(requires_grad=True)
    score, _ = LMJudgeEvaluator.apply(
        ScriptedModel([verdict(1)]), turns, Variable("p"), "t"
    )
    assert score.is_leaf


def test_e18_no_target_is_allowed():
    """A rubric may do without a target."""
    turns = [{"role": "user", "content": [Variable("Rate {prediction}", "rubric")]}]
    score, _ = LMJudgeEvaluator.apply(ScriptedModel([verdict(4)]), turns, Variable("p"))
    assert score.data == 4
    assert score.evidence[0].target is None


def test_completion_args_reach_the_judge():
    """What the user passes is sent unchanged."""
    judge = ScriptedModel([verdict(1)])
    LMJudgeEvaluator.apply(judge, messages()[1], Variable("p"), "t", temperature=0)[
        0
    ].data
    assert judge.requests[0].args["temperature"] == 0
