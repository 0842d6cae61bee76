"""Tests of afnio.cognitive.modules.pairwise_judge_evaluator."""

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.models.testing import ScriptedModel

TIE = '{"winner": "tie", "explanation": "alike"}'
ASK = [{"role": "user", "content": [cog.Parameter("{first} or {second}?", "rubric")]}]


def test_configured_and_overridden():
    """Everything can be configured; a call overrides and adds."""
    judge, other = ScriptedModel(TIE), ScriptedModel(TIE)
    evaluate = cog.PairwiseJudgeEvaluator(judge, ASK, False, None, temperature=0)
    score, _ = evaluate(prediction=Variable(["a", "b"]), target="c")
    assert score.data == [0.5, 0.5]
    assert len(judge.requests) == 2
    assert judge.requests[0].args["temperature"] == 0
    score, _ = evaluate(
        other, prediction=Variable("a"), target="c", swap=True, response_schema=True
    )
    assert score.data == 0.5
    assert len(other.requests) == 2
    assert other.requests[0].args["response_format"]["type"] == "json_schema"


def test_state():
    """The rubric is a parameter; client, messages, order and arguments are saved."""
    evaluate = cog.PairwiseJudgeEvaluator(ScriptedModel(TIE), ASK, False, model="m")
    assert [p.role for p in evaluate.parameters()] == ["rubric"]
    expected = {"forward_model_client", "messages", "swap", "completion_args"}
    assert set(evaluate.state_dict()) == expected


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"prediction": Variable("a")}, "a prediction and a target"),
        ({"target": "a"}, "a prediction and a target"),
        ({"prediction": Variable("a"), "target": "b"}, "no forward_model_client"),
    ],
)
def test_missing_configuration(args, words):
    """What is missing is named."""
    with pytest.raises(TypeError, match=words):
        cog.PairwiseJudgeEvaluator(None, ASK)(**args)
