"""Tests of afnio.cognitive.modules.lm_judge_evaluator."""

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.autodiff.credit import credit_mode
from afnio.models.testing import ScriptedModel


def _judge_of(score):
    return ScriptedModel(f'{{"score": {score}, "explanation": "because"}}')


def _ask(text):
    return [{"role": "user", "content": [Variable(text, "judge prompt")]}]


def test_everything_at_the_call():
    """The documented use, arguments in the documented order."""
    model = _judge_of("true")
    judge = cog.LMJudgeEvaluator()
    messages = _ask("Is {prediction} {target}? {hint}")
    prediction = Variable("red", "colour", requires_grad=True)
    score, why = judge(model, messages, prediction, "a colour", {"hint": "x"}, seed=1)
    assert (score.data, why.data) == (True, "because")
    assert model.requests[0].messages[0]["content"] == "Is red a colour? x"
    assert model.requests[0].args["seed"] == 1


def test_configured_and_overridden():
    """What is configured holds; a call overrides it."""
    judge = cog.LMJudgeEvaluator(
        _judge_of(1), _ask("{prediction}"), None, max, "best", temperature=0
    )
    prediction = Variable(["a", "b"], "answer")
    assert judge(prediction=prediction)[0].data == 1
    score, _ = judge(_judge_of(2), prediction=prediction, reduction_fn=None)
    assert score.data == [2, 2]
    assert judge(prediction=prediction)[0].data == 1
    assert judge.forward_model_client.requests[0].args["temperature"] == 0


@pytest.mark.parametrize(("at_call", "trained"), [(None, "judge"), (True, "answer")])
def test_eval_mode_can_be_configured(at_call, trained):
    """eval_mode=False trains the judge's own prompt; a call may override it."""
    prediction = Variable("red", "colour", requires_grad=True)
    prompt = cog.Parameter("{prediction}", "judge prompt")
    messages = [{"role": "user", "content": [prompt]}]
    judge = cog.LMJudgeEvaluator(_judge_of(0), messages, eval_mode=False)
    score, _ = judge(prediction=prediction, eval_mode=at_call)
    with credit_mode("passthrough"):
        score.backward()
    assert bool(prompt.grad) is (trained == "judge")
    assert bool(prediction.grad) is (trained == "answer")
    assert judge.state_dict()["eval_mode"].data is False


def test_missing_configuration():
    """What a call lacks is named."""
    with pytest.raises(TypeError, match="prediction"):
        cog.LMJudgeEvaluator(_judge_of(1), _ask("x"))()
    with pytest.raises(TypeError, match="forward_model_client"):
        cog.LMJudgeEvaluator()(prediction=Variable("x"))


def test_state():
    """Only what was configured is in the state."""
    assert dict(cog.LMJudgeEvaluator().state_dict()) == {}
    judge = cog.LMJudgeEvaluator(messages=_ask("x"), seed=1)
    assert list(judge.state_dict()) == ["messages", "completion_args"]


def test_range_and_schema_are_configured_or_given():
    """Both belong to the state, hold for every call, and a call overrides them."""
    judge = ScriptedModel('{"score": 5, "explanation": "fine"}')
    ask = [{"role": "user", "content": [Variable("{prediction}?")]}]
    evaluate = cog.LMJudgeEvaluator(
        judge, ask, score_range=(1, 5), response_schema=True
    )
    score, _ = evaluate(prediction=Variable("a"))
    assert (score.data, score.evidence[0].success) == (5, True)
    assert "response_format" in judge.requests[0].args
    assert {"score_range", "response_schema"} <= set(evaluate.state_dict())
    score, _ = evaluate(
        prediction=Variable("a"), score_range=(0, 10), response_schema=False
    )
    assert (score.data, score.evidence[0].success) == (5, False)
    assert "response_format" not in judge.requests[1].args
