"""Tests of afnio.cognitive.modules.weighted_evaluator."""

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.models.testing import ScriptedModel


def evaluators():
    """Return one evaluator of each kind that needs only prediction and target."""
    judge = ScriptedModel('{"score": 1, "winner": "tie", "explanation": "fine"}')
    ask = [{"role": "user", "content": [Variable("{prediction}?")]}]
    pair = [{"role": "user", "content": [Variable("{first} or {second}?")]}]
    return {
        "right": cog.ExactMatchEvaluator(),
        "form": cog.RegexEvaluator("^.$"),
        "json": cog.JSONSchemaEvaluator({}),
        "length": cog.DeterministicEvaluator(lambda p, t: len(p) == len(t), "length"),
        "judge": cog.LMJudgeEvaluator(judge, ask),
        "pair": cog.PairwiseJudgeEvaluator(judge, pair),
    }


def test_all_evaluators_combine():
    """Every kind is called alike; scores are weighted and feedback arrives."""
    weights = {"right": 4, "form": 2, "json": 1, "length": 1, "judge": 1, "pair": 1}
    evaluate = cog.WeightedEvaluator(evaluators(), weights, None)
    prediction = Variable(["a", "bb"], "answer", requires_grad=True)
    score, explanation = evaluate(prediction, ["a", "c"])
    assert score.data == pytest.approx([0.85, 0.15])
    assert "right (40%): 0" in explanation.data[1]
    explanation.backward()
    assert len(prediction.grad) == 6


def test_state():
    """Weights and what the parts were configured with belong to the state."""
    names = {"right": cog.ExactMatchEvaluator(), "form": cog.RegexEvaluator("^.$")}
    evaluate = cog.WeightedEvaluator(names, {"right": 3, "form": 1})
    state = evaluate.state_dict()
    assert set(state) == {"weights", "evaluators.form.pattern"}
    other = cog.WeightedEvaluator(
        {"right": cog.ExactMatchEvaluator(), "form": cog.RegexEvaluator()}
    )
    other.load_state_dict(state)
    assert other(Variable("a"), "b")[0].data == 0.25


@pytest.mark.parametrize(
    ("names", "weights", "error"),
    [
        ({}, None, InputTypeError),
        ([cog.ExactMatchEvaluator()], None, InputTypeError),
        ({"a": cog.ExactMatchEvaluator()}, {"a": 1, "b": 1}, InputValueError),
        ({"a": cog.ExactMatchEvaluator()}, {}, InputValueError),
    ],
)
def test_evaluators_and_weights_must_fit(names, weights, error):
    """Every evaluator has a weight and a name."""
    with pytest.raises(error):
        cog.WeightedEvaluator(names, weights)
