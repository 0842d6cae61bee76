"""Tests of afnio.cognitive.modules.deterministic_evaluator."""

import pytest

import afnio.cognitive as cog
from afnio import Variable


def _batch():
    return Variable(["green", "blue"], "colour", requires_grad=True), ["red", "blue"]


def test_everything_at_the_call():
    """The documented use, with the optional arguments left out or None."""
    evaluate = cog.DeterministicEvaluator()
    score, _ = evaluate(*_batch(), str.__eq__, "exact match")
    assert score.data == [False, True]
    score, _ = evaluate(*_batch(), str.__eq__, "exact match", None, sum, "summation")
    assert score.data == 1


def test_configured_and_overridden():
    """Closures can be configured; a call overrides, with None too."""
    best = 1

    def success(scores):
        return scores == [best]

    evaluate = cog.DeterministicEvaluator(
        lambda p, t: int(p == t), "exact match", success, sum, "summation"
    )
    score, _ = evaluate(*_batch())
    assert score.data == 1
    score, _ = evaluate(*_batch(), reduction_fn=None, reduction_fn_purpose=None)
    assert score.data == [0, 1]
    assert [e.success for e in score.evidence] == [False, True]


@pytest.mark.parametrize(
    ("args", "missing"), [((), "eval_fn"), ((len,), "eval_fn_purpose")]
)
def test_missing_configuration(args, missing):
    """A call without function or purpose says which is missing."""
    with pytest.raises(TypeError, match=f"no {missing};"):
        cog.DeterministicEvaluator(*args)(*_batch())


def test_state():
    """The state names what was configured, and nothing else."""
    evaluate = cog.DeterministicEvaluator(len, "length")
    assert list(evaluate.state_dict()) == ["eval_fn_purpose", "eval_fn"]
