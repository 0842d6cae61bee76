"""Thresholds hold or do not, and say so."""

from __future__ import annotations

import pytest
from evaluation_helpers import evaluation

from afnio.errors import InputTypeError, InputValueError
from afnio.evaluation import Thresholds


def failed(thresholds, after, before=None):
    """Name the thresholds that are not met."""
    return [c.name for c in thresholds.check(after, before) if not c.passed]


def test_without_thresholds_only_errors_matter():
    """No sample may fail unless that is allowed."""
    assert failed(Thresholds(), evaluation([0.0])) == []
    assert failed(Thresholds(), evaluation([1.0, None])) == ["errors"]
    assert failed(Thresholds(max_errors=1), evaluation([1.0, None])) == []


def test_the_lowest_score_is_met_or_not():
    """Equal is enough; no score at all is not."""
    assert failed(Thresholds(min_score=0.5), evaluation([1.0, 0.0])) == []
    assert failed(Thresholds(min_score=0.51), evaluation([1.0, 0.0])) == ["score"]
    errors = Thresholds(min_score=0.0, max_errors=9)
    assert failed(errors, evaluation([None])) == ["score"]


def test_a_fall_counts_from_the_allowed_one_on():
    """The paired mean may fall by max_regression and no further."""
    before, after = evaluation([1.0] * 10), evaluation([1.0] * 9 + [0.0])
    assert failed(Thresholds(), after, before) == ["regression"]
    assert failed(Thresholds(max_regression=0.1), after, before) == []
    assert failed(Thresholds(max_regression=0.09), after, before) == ["regression"]
    assert failed(Thresholds(max_regression=None), after, before) == []
    assert failed(Thresholds(), before, after) == []


def test_sure_wants_the_whole_interval_beyond_the_threshold():
    """One sample of ten may be chance; nine of ten are not."""
    before = evaluation([1.0] * 10)
    one, nine = evaluation([1.0] * 9 + [0.0]), evaluation([0.0] * 9 + [1.0])
    assert failed(Thresholds(sure=True), one, before) == []
    assert failed(Thresholds(sure=True), nine, before) == ["regression"]
    assert failed(Thresholds(sure=True, min_score=0.95), one) == []
    assert failed(Thresholds(sure=True, min_score=0.95), nine) == ["score"]


def test_a_sample_that_fails_now_is_an_error_not_a_regression():
    """It is left out of the comparison and counted as what it is."""
    before, after = evaluation([1.0, 1.0]), evaluation([1.0, None])
    assert failed(Thresholds(), after, before) == ["errors"]


def test_a_program_that_fails_everywhere_is_no_wrong_argument():
    """There is nothing to pair, and every threshold is missed."""
    before, after = evaluation([1.0]), evaluation([None])
    assert failed(Thresholds(), after, before) == ["errors", "regression"]


def test_impossible_thresholds_are_refused():
    """By name."""
    with pytest.raises(InputTypeError, match="min_score is str"):
        Thresholds(min_score="0.5")
    with pytest.raises(InputValueError, match=r"max_regression is -0\.1"):
        Thresholds(max_regression=-0.1)
    with pytest.raises(InputTypeError, match="max_errors is NoneType"):
        Thresholds(max_errors=None)
