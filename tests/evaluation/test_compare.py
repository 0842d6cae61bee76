"""Comparisons are paired by sample."""

from __future__ import annotations

import pytest
from evaluation_helpers import evaluation

from afnio.errors import InputTypeError, InputValueError
from afnio.evaluation import compare


def test_pairs_are_made_by_contents_not_by_position():
    """The order of the data does not matter."""
    before = evaluation([1.0, 0.0, 0.0], "before", ["a", "b", "c"])
    after = evaluation([1.0, 1.0, 0.0], "after", ["c", "b", "a"])
    found = compare(before, after)
    assert (found.mean, found.better, found.worse, found.equal) == (1 / 3, 2, 1, 0)
    assert found.interval[0] < 1 / 3 < found.interval[1]
    assert found.p_value == 1.0


def test_equal_samples_are_paired_in_order():
    """Two equal samples are two pairs."""
    before = evaluation([1.0, 0.0], "before", ["a", "a"])
    found = compare(before, evaluation([1.0, 1.0], "after", ["a", "a"]))
    assert (len(found.pairs), found.better) == (2, 1)


def test_errors_are_left_out_on_both_sides():
    """A sample that failed is no pair, and never a loss."""
    before = evaluation([1.0, 1.0, None], "before")
    found = compare(before, evaluation([1.0, None, 1.0], "after"))
    assert (len(found.pairs), found.mean) == (1, 0.0)
    assert (found.unpaired_before, found.unpaired_after) == (2, 2)


def test_the_sign_test_is_two_sided_and_exact():
    """Six losses in six changes: 2 / 2**6."""
    found = compare(evaluation([1.0] * 6), evaluation([0.0] * 6))
    assert found.p_value == pytest.approx(2 / 64)
    assert found.to_dict()["worse"] == 6


def test_the_greatest_loss_comes_first():
    """Changes are listed by how much they hurt."""
    found = compare(evaluation([0.5, 1.0, 0.0, 1.0]), evaluation([0.6, 0.0, 0.0, 0.5]))
    assert [after.index for _, after in found.changed()] == [1, 3, 0]


def test_nothing_in_common_is_refused():
    """There is no difference to speak of."""
    with pytest.raises(InputValueError, match="no scored sample in common"):
        compare(evaluation([1.0], "a", ["x"]), evaluation([1.0], "b", ["y"]))
    with pytest.raises(InputTypeError, match="compare got dict"):
        compare({}, evaluation([1.0]))


def test_it_reads_well():
    """Printing says what changed and how sure that is."""
    before, after = evaluation([0.0, 1.0], "before"), evaluation([1.0, 1.0], "after")
    text = str(after.compare(before))
    assert text.startswith("before -> after: +0.500 [")
    assert "2 paired samples: 1 better, 0 worse, 1 equal" in text
