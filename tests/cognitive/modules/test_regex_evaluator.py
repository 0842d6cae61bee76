"""Tests of afnio.cognitive.modules.regex_evaluator."""

import re

import pytest

import afnio.cognitive as cog
from afnio import Variable

WORDS = Variable(["12", "x1"], "number")


def test_configured_and_overridden():
    """Pattern and mode can be configured; a call overrides them."""
    evaluate = cog.RegexEvaluator(r"\d+", "fullmatch")
    assert evaluate(WORDS)[0].data == 1
    assert evaluate(WORDS, mode="search")[0].data == 2
    assert evaluate(WORDS, pattern="x")[0].data == 0
    assert evaluate(WORDS, "a target", reduction_fn=None)[0].data == [1, 0]


def test_state():
    """Text belongs to the state, a compiled pattern to the program."""
    evaluate = cog.RegexEvaluator(r"\d+", "fullmatch")
    assert set(evaluate.state_dict()) == {"pattern", "mode"}
    fresh = cog.RegexEvaluator()
    fresh.load_state_dict(evaluate.state_dict())
    assert fresh(WORDS)[0].data == 1
    compiled = cog.RegexEvaluator(re.compile("X", re.IGNORECASE))
    assert compiled(WORDS)[0].data == 1
    assert dict(compiled.state_dict()) == {}


def test_missing_pattern():
    """A call without a pattern says so."""
    with pytest.raises(TypeError, match="no pattern"):
        cog.RegexEvaluator()(WORDS)
