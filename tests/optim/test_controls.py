"""Controls do what their names say, and no more."""

from __future__ import annotations

from optim_helpers import param, rewriter, saying

from afnio import Variable
from afnio.optim import NoOp, RandomRewrite
from afnio.optim.gates import Improve


def test_no_op_evaluates_and_changes_nothing():
    """The closure's result is returned."""
    prompt = param("x", "feedback")
    opt = NoOp([prompt])
    assert opt.step(lambda: 0.5) == 0.5
    assert opt.step() is None
    assert prompt.data == "x"


def test_random_rewrite_shows_no_feedback():
    """It rewrites with and without feedback, from the text alone."""
    one, two, model = param("one", "be loud"), param("two"), rewriter()
    RandomRewrite([one, two], model, constraints=["A rule."], temperature=0.2).step()
    assert (one.data, two.data) == ("ONE", "TWO")
    for request in model.requests:
        text = "".join(turn["content"] for turn in request.messages)
        assert "be loud" not in text
        assert "A rule." in text
        assert request.args["temperature"] == 0.2


def test_random_rewrite_takes_a_gate():
    """So that it can be compared with a gated optimizer."""
    prompt = param("old")
    opt = RandomRewrite([prompt], saying("new"), gate=Improve())
    opt.step(lambda: Variable([1.0 if prompt.data == "old" else 0.0]))
    assert prompt.data == "old"
    assert not opt.history[0].accepted
