"""Tests of afnio.cognitive.modules.exact_match_evaluator."""

import afnio.cognitive as cog
from afnio import Variable


def _batch():
    return Variable(["green", "blue"], "colour", requires_grad=True), ["red", "blue"]


def test_calls_do_not_depend_on_each_other():
    """MC02: reduction None, then the default, works, and the reverse."""
    evaluate = cog.ExactMatchEvaluator()
    for _ in range(2):
        assert evaluate(*_batch(), None, None)[0].data == [0, 1]
        assert evaluate(*_batch())[0].data == 1


def test_configured_reduction():
    """A configured reduction, or none, holds for every call."""
    assert cog.ExactMatchEvaluator(None)(*_batch())[0].data == [0, 1]
    worst = cog.ExactMatchEvaluator(min, "minimum")
    assert worst(*_batch())[0].data == 0
    assert set(worst.state_dict()) == {"reduction_fn", "reduction_fn_purpose"}
    assert worst.state_dict()["reduction_fn_purpose"].data == "minimum"


def test_reduction_without_purpose():
    """A reduction without a purpose is called by its name, not a summation."""
    for evaluate, args in [
        (cog.ExactMatchEvaluator(min), ()),
        (cog.ExactMatchEvaluator(), (min,)),
    ]:
        _, explanation = evaluate(*_batch(), *args)
        assert "min" in explanation.data
        assert "summation" not in explanation.data
    assert "summation" in cog.ExactMatchEvaluator()(*_batch())[1].data


def test_default_is_no_state():
    """The default reduction is neither saved nor expected."""
    assert dict(cog.ExactMatchEvaluator().state_dict()) == {}
    fresh = cog.ExactMatchEvaluator()
    fresh.load_state_dict(cog.ExactMatchEvaluator(max, "best").state_dict())
    assert fresh(*_batch())[0].data == 1
    assert fresh.reduction_fn is max


def test_backward_on_a_right_batch_is_empty():
    """All right means empty feedback, without a model."""
    prediction = Variable("blue", "colour", requires_grad=True)
    score, _ = cog.ExactMatchEvaluator()(prediction, "blue")
    score.backward()
    assert [g.data for g in prediction.grad] == [""]


def test_normalize_and_tolerance_are_configured_or_given():
    """Names and tolerance belong to the state; functions work; a call overrides."""
    prediction = Variable(["Green", "1.0"], "answer")
    target = ["green", "1.05"]
    evaluate = cog.ExactMatchEvaluator(normalize=["casefold"], tolerance=0.1)
    assert evaluate(prediction, target)[0].data == 2
    assert evaluate(prediction, target, normalize=None)[0].data == 1
    assert evaluate(prediction, target, tolerance=None)[0].data == 1
    assert set(evaluate.state_dict()) == {"normalize_names", "tolerance"}
    fresh = cog.ExactMatchEvaluator()
    fresh.load_state_dict(evaluate.state_dict())
    assert fresh(prediction, target)[0].data == 2
    for normalize in (str.lower, [str.lower, "strip"]):
        evaluate = cog.ExactMatchEvaluator(normalize=normalize)
        assert evaluate(prediction, target)[0].data == 1
        assert dict(evaluate.state_dict()) == {}
