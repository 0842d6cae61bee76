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
