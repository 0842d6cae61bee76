"""Tests of afnio.autodiff.op_result."""

import pytest

from afnio.autodiff.op_result import OpResult


def test_lengths_must_agree():
    """Everything per sample has as many entries as content."""
    with pytest.raises(ValueError, match="stop_reason has 1 entries, content has 2"):
        OpResult(None, [None, None], ["end_turn"])
    with pytest.raises(ValueError, match="parsed has 2"):
        OpResult(None, [None], ["end_turn"], parsed=[1, 2])
    with pytest.raises(ValueError, match="parse_error has 2"):
        OpResult(None, [None], ["end_turn"], parse_error=[None, None])


def test_content_must_be_a_sequence():
    """A single message is not a batch."""
    with pytest.raises(TypeError, match="one entry per sample"):
        OpResult(None, "hello", ["end_turn"])


def test_what_was_not_given_is_empty():
    """Optional rows default to nothing."""
    result = OpResult(None, [None], ["end_turn"])
    assert (result.parsed, result.fields, result.parse_error) == ((), None, None)
    assert result.turns == ()
    assert len(result) == 1
    assert "end_turn" in repr(result)
