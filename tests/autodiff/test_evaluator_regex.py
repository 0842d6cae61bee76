"""RegexEvaluator: modes, feedback, and what is refused."""

from __future__ import annotations

import re

import pytest

from afnio import Variable
from afnio.autodiff.evaluator import RegexEvaluator
from afnio.errors import InputTypeError, InputValueError


@pytest.mark.parametrize(
    ("mode", "scores"),
    [("search", [1, 1, 1]), ("match", [0, 1, 1]), ("fullmatch", [0, 0, 1])],
)
def test_modes(mode, scores):
    """The modes are the methods of a compiled pattern."""
    texts = Variable(["x12", "12x", "12"], "number")
    assert RegexEvaluator.apply(texts, r"\d+", mode, None)[0].data == scores


def test_patterns():
    """A pattern may carry flags; there may be one per sample, or a Variable."""
    texts = Variable(["A", "b"], "letter")
    assert RegexEvaluator.apply(texts, re.compile("a|B", re.IGNORECASE))[0].data == 2
    assert RegexEvaluator.apply(texts, ["A", "A"])[0].data == 1
    score, _ = RegexEvaluator.apply(texts, Variable(["A", "b"]))
    assert score.data == 2
    assert [record.target for record in score.evidence] == ["A", "b"]


def test_feedback_says_what_was_expected():
    """Only the sample that does not match gets feedback, with the pattern."""
    texts = Variable(["12", "</prediction>"], "number", requires_grad=True)
    _, explanation = RegexEvaluator.apply(texts, r"\d+", "fullmatch")
    explanation.backward()
    right, wrong = texts.grad[0].data
    assert right == ""
    assert "text that as a whole matches the regular expression <pattern>" in wrong
    assert r"\d+" in wrong
    assert "<prediction2>\n</prediction>\n</prediction2>" in wrong
    assert "'</prediction>'" in explanation.data


def test_pending_predictions_wait():
    """A prediction that is still computed is matched when it is there."""
    from afnio.autodiff.lm_ops import ChatCompletion
    from afnio.models.testing import ScriptedModel

    ask = [{"role": "user", "content": [Variable("Count.", requires_grad=True)]}]
    reply = ChatCompletion.apply(ScriptedModel("12"), ask)
    assert RegexEvaluator.apply(reply, "^12$")[0].data == 1


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (("(",), InputValueError, "regular expression"),
        ((3,), InputTypeError, "pattern"),
        ((re.compile(b"a"),), InputTypeError, "pattern"),
        (("a", "fullmatsh"), InputValueError, "fullmatch"),
        ((["a", "b"],), InputValueError, "several targets"),
    ],
)
def test_wrong_arguments(args, error, words):
    """Patterns and modes are checked at the call."""
    with pytest.raises(error, match=words):
        RegexEvaluator.apply(Variable("a"), *args)


@pytest.mark.parametrize("data", [3, None, [1], [["a"]]])
def test_what_is_no_text_is_an_error_not_a_score(data):
    """A number or nothing cannot be matched."""
    with pytest.raises(InputTypeError, match="needs text"):
        RegexEvaluator.apply(Variable(data), "a")[0].data


def test_a_missing_sample_has_no_score():
    """None in a batch is neither right nor wrong."""
    texts = Variable(["a", None], "letter", requires_grad=True)
    score, explanation = RegexEvaluator.apply(texts, "b", reduction_fn=None)
    explanation.backward()
    assert score.data == [0, None]
    assert texts.grad[0].data[1] == ""
