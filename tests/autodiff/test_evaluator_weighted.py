"""WeightedEvaluator: combined scores, merged evidence, and feedback to every part."""

from __future__ import annotations

import json

import pytest

from afnio import Variable
from afnio.autodiff.evaluator import (
    DeterministicEvaluator,
    ExactMatchEvaluator,
    LMJudgeEvaluator,
    RegexEvaluator,
    WeightedEvaluator,
)
from afnio.autodiff.function import Function
from afnio.errors import InputTypeError, InputValueError
from afnio.models._roles import set_backward_model_client
from afnio.models.testing import ScriptedModel


def answers(data):
    """Return a prediction that wants feedback."""
    return Variable(data, "answer", requires_grad=True)


def parts(prediction, target, pattern="^.$"):
    """Evaluate in two ways, the second unreduced."""
    return [
        ExactMatchEvaluator.apply(prediction, target),
        RegexEvaluator.apply(prediction, pattern, reduction_fn=None),
    ]


def test_scores_are_weighted_means_per_sample():
    """Each sample gets its mean, whatever the parts' reductions."""
    pairs = parts(answers(["a", "bb", "c"]), ["a", "x", "y"])
    score, explanation = WeightedEvaluator.apply(pairs, [3, 1])
    assert [record.score for record in score.evidence] == [1, 0, 0.25]
    assert score.data == 1.25
    assert score.role == "Evaluation result score of answer"
    assert explanation.data.endswith("score: 1.25.")
    unreduced, words = WeightedEvaluator.apply(pairs, [3, 1], reduction_fn=None)
    assert unreduced.data == [1, 0, 0.25]
    assert len(words.data) == 3


def test_scalars_stay_scalars():
    """A single prediction has one score, and no reduction touches it."""
    pairs = [ExactMatchEvaluator.apply(answers("a"), "a")] * 2
    score, _ = WeightedEvaluator.apply(pairs, None, None, len, "count")
    assert score.data == 1


@pytest.mark.parametrize("root", [0, 1])
def test_backward_reaches_every_part(root):
    """Without a gradient, from either output, each part gives its own feedback."""
    prediction = answers(["a", "bb"])
    WeightedEvaluator.apply(parts(prediction, ["a", "x"]))[root].backward()
    for grad, words in zip(
        prediction.grad, ("exact match", "regular expression"), strict=True
    ):
        right, wrong = grad.data
        assert right == ""
        assert words in wrong
        assert len(grad.evidence) == 2


def test_feedback_on_the_combined_score_is_passed_on():
    """What was said of the combination joins each part's words."""
    prediction = answers("bb")
    score, _ = WeightedEvaluator.apply(parts(prediction, "x"))
    score.backward(Variable("brevity counts"))
    assert "brevity counts" in prediction.grad[0].data


def test_a_part_without_weight_is_silent():
    """It takes part neither in the score nor in the feedback."""
    prediction = answers("bb")
    score, _ = WeightedEvaluator.apply(parts(prediction, "bb"), [1, 0])
    score.backward()
    assert score.data == 1
    assert score.evidence[0].success
    assert [grad.data for grad in prediction.grad] == [""]


def test_evidence_is_merged():
    """A record shows prediction, target, success, and what failing parts said."""
    judge = ScriptedModel(json.dumps({"score": 0.5, "explanation": "dull"}))
    ask = [{"role": "user", "content": [Variable("{prediction}?")]}]
    prediction = answers("a")
    pairs = [
        LMJudgeEvaluator.apply(judge, ask, prediction),
        ExactMatchEvaluator.apply(prediction, "a"),
    ]
    (record,) = WeightedEvaluator.apply(pairs, names=["style", "right"])[0].evidence
    assert (record.output, record.target, record.score) == ("a", "a", 0.75)
    assert not record.success
    assert record.critique == "style (50%): 0.5 - dull\nright (50%): 1"


def test_a_judge_in_training_gets_feedback_too():
    """A part whose prediction gets nothing reviews itself, as it does alone."""
    rubric = Variable("{prediction}?", "rubric", requires_grad=True)
    judge = ScriptedModel(json.dumps({"score": 0, "explanation": "dull"}))
    part = LMJudgeEvaluator.apply(
        judge, [{"role": "user", "content": [rubric]}], answers("a"), eval_mode=False
    )
    critic = ScriptedModel('{"input_1": "Say when."}')
    with set_backward_model_client(critic):
        WeightedEvaluator.apply([part])[0].backward()
    assert rubric.grad[0].data == "Say when."


def test_what_one_part_could_not_score_has_no_score():
    """A missing sample stays missing, and does not count."""
    pairs = parts(answers(["a", None]), ["a", "b"])
    score, _ = WeightedEvaluator.apply(pairs, reduction_fn=None)
    assert score.data == [1, None]
    assert WeightedEvaluator.apply(pairs)[0].data == 1


def test_a_failing_part_is_an_error():
    """Its error is raised when the combined score is read."""
    judge = ScriptedModel(["no"] * 3)
    ask = [{"role": "user", "content": [Variable("{prediction}?")]}]
    prediction = answers("a")
    part = LMJudgeEvaluator.apply(judge, ask, prediction)
    score, _ = WeightedEvaluator.apply(
        [part, ExactMatchEvaluator.apply(prediction, "a")]
    )
    with pytest.raises(RuntimeError, match="JSON"):
        score.data


def test_evaluators_of_users_take_part():
    """Outputs without evidence count as they are."""

    class Length(Function):
        @staticmethod
        def forward(ctx, x):
            return Variable([len(t) for t in x.data]), Variable("length")

        @staticmethod
        def backward(ctx, score, explanation):
            return Variable("shorter")

    prediction = answers(["a", "bbb"])
    pairs = [Length.apply(prediction), ExactMatchEvaluator.apply(prediction, "a")]
    score, _ = WeightedEvaluator.apply(pairs, reduction_fn=None)
    assert score.data == [1, 1.5]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"weights": [1]}, InputValueError),
        ({"weights": [1, -1]}, InputValueError),
        ({"weights": [0, 0]}, InputValueError),
        ({"weights": [1, float("nan")]}, InputValueError),
        ({"weights": ["1", "2"]}, InputTypeError),
        ({"names": ["one"]}, InputValueError),
        ({"names": "ab"}, InputValueError),
        ({"reduction_fn_purpose": ""}, InputValueError),
    ],
)
def test_options_are_checked(options, error):
    """Weights and names must fit the evaluations."""
    with pytest.raises(error):
        WeightedEvaluator.apply(parts(answers("a"), "a"), **options)


@pytest.mark.parametrize("evaluations", [[], None, [Variable("a")], [(1, 2)]])
def test_evaluations_are_pairs(evaluations):
    """Anything but pairs of Variables is refused."""
    with pytest.raises(InputTypeError, match="evaluations"):
        WeightedEvaluator.apply(evaluations)


def test_samples_must_be_the_same_in_number():
    """Evaluations of different batches do not combine."""
    pairs = [
        ExactMatchEvaluator.apply(answers(data), "a") for data in (["a"], ["a", "b"])
    ]
    with pytest.raises(InputValueError, match="evaluation 1 1, evaluation 2 2"):
        WeightedEvaluator.apply(pairs)


def test_text_scores_do_not_combine():
    """A score that is text has no mean."""
    part = DeterministicEvaluator.apply(answers("a"), "a", lambda p, t: "good", "taste")
    with pytest.raises(InputTypeError, match="only numbers"):
        WeightedEvaluator.apply([part, part])


def test_only_a_reduction_of_the_users_leaves_the_loop():
    """The weighting itself takes no time."""
    assert not WeightedEvaluator.calls_user([])
    assert WeightedEvaluator.calls_user([], reduction_fn=lambda scores: scores[0])
