"""What steps may return, and how many samples a batch holds."""

from __future__ import annotations

import pytest

from afnio import Variable
from afnio.trainer import get_batch_size
from afnio.trainer._steps import parse_output

PAIR = (Variable(1), Variable("why"))


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        ({"a": [1, 2]}, 2),
        ({"a": Variable(["x", "y"]), "b": 1}, 2),
        ({"a": "text"}, 1),
        (Variable(["x", "y"]), 2),
        (Variable("text"), 1),
        ((Variable(["x", "y"]), [1, 2, 3]), 2),
        ((Variable(["x", "y"]), (Variable(["p", "q"]), Variable(["r", "s"]))), 2),
        ([Variable(["x", "y"]), Variable(["p", "q"])], 2),
        ([Variable("x"), Variable("y"), Variable("z")], 3),
        ([1, 2, 3], 3),
        (["only one"], 1),
        ("text", 1),
        (None, 1),
    ],
)
def test_batch_sizes(batch, size):
    """A batch counts as many samples as the documents, or common sense, say (TR16)."""
    assert get_batch_size(batch) == size


@pytest.mark.parametrize("empty", [[], (), {}, Variable([])])
def test_an_empty_batch_has_no_size(empty):
    """Nothing cannot be counted."""
    with pytest.raises(ValueError, match="empty"):
        get_batch_size(empty)


def test_a_pair_and_a_dict_are_understood():
    """Both documented forms give the score as loss, and other metrics besides."""
    assert list(parse_output("training_step", PAIR).values) == ["loss"]
    output = parse_output("training_step", {"loss": PAIR, "accuracy": 0.5})
    assert output.metrics() == {"loss": 1, "accuracy": 0.5}
    assert output.explanation is PAIR[1]


def test_none_skips():
    """A step may decline."""
    assert parse_output("training_step", None) is None


@pytest.mark.parametrize("wrong", [5, {"loss": 5}, {"accuracy": 1}, (1,), "text"])
def test_other_values_are_refused(wrong):
    """What is no pair is a ValueError that names the step (TR08)."""
    with pytest.raises(ValueError, match="training_step"):
        parse_output("training_step", wrong)


def test_a_pair_of_texts_is_refused():
    """Score and explanation must be Variables (TR08)."""
    with pytest.raises(TypeError, match="str, str"):
        parse_output("test_step", ("1", "why"))
