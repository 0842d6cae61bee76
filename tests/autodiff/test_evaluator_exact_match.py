"""ExactMatchEvaluator: normalisation, several targets, tolerance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import Variable
from afnio.autodiff.evaluator import NORMALIZERS, ExactMatchEvaluator
from afnio.errors import InputTypeError, InputValueError


def score(prediction, target, **options):
    """Return the score of a prediction."""
    return ExactMatchEvaluator.apply(Variable(prediction, "answer"), target, **options)[
        0
    ].data


@pytest.mark.parametrize(
    ("prediction", "target", "normalize"),
    [
        ("STRASSE", "Straße", "casefold"),
        (" a\n", "a", "strip"),
        ("a,  b.\n", "a b", ["punctuation", "whitespace"]),
        ("\ufb01ne", "fine", "unicode"),
        ("abc", "cba", lambda text: "".join(sorted(text))),
        ("Red!", "red", [str.lower, "punctuation"]),
    ],
)
def test_normalize(prediction, target, normalize):
    """Named and own normalisers apply to both sides, in order."""
    assert score(prediction, target) == 0
    assert score(prediction, target, normalize=normalize) == 1


@given(st.sampled_from(sorted(NORMALIZERS)), st.text())
def test_normalizers_change_nothing_the_second_time(name, text):
    """What has been normalised stays as it is, but for case folds of rare letters."""
    once = NORMALIZERS[name](text)
    if name == "casefold":
        once = NORMALIZERS[name](once)
    assert NORMALIZERS[name](once) == once


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        (["a", "b"], [["a", "x"], "c"], 1),
        (["a", "b"], [{"a", "x"}, ("c", "b")], 2),
        (["a", "b", "c"], {"a", "b"}, 2),
        ("b", {"a", "b"}, 1),
        (["a", "b"], Variable([["a", "x"], ["b", "y"]]), 2),
    ],
)
def test_several_acceptable_targets(prediction, target, expected):
    """Any of a sample's targets will do; a set is meant for every sample."""
    assert score(prediction, target) == expected


def test_several_targets_are_named():
    """Explanation, evidence and feedback show all that was acceptable."""
    prediction = Variable(["no"], "answer", requires_grad=True)
    result, explanation = ExactMatchEvaluator.apply(prediction, [{"b", "a"}])
    explanation.backward()
    assert result.evidence[0].target == ["a", "b"]
    assert "'a' or 'b'" in explanation.data
    assert "<target>\na\nor\nb\n</target>" in prediction.grad[0].data[0]


@pytest.mark.parametrize(
    ("prediction", "target", "tolerance", "expected"),
    [
        ("1.1", "1.0", 0.1, 1),
        ("1.11", "1.0", 0.1, 0),
        ("1e3", "1000", 0, 1),
        (3.14, 3.1416, 0.01, 1),
        ("about 3", "3", 10, 0),
        ("nan", "nan", 1, 1),
        ("nan", "inf", 1, 0),
        ("1e999999999", "1", 1, 0),
        (["1", "x"], ["1.05", "x"], 0.05, 2),
        (True, 1.5, 1, 0),
    ],
)
def test_tolerance(prediction, target, tolerance, expected):
    """Numbers may differ by the tolerance, counted in decimals; text must be equal."""
    target = Variable(target) if not isinstance(target, str) else target
    assert score(prediction, target, tolerance=tolerance) == expected


def test_plain_numbers_need_a_tolerance():
    """A number as target is refused unless numbers are compared."""
    assert score("2", 2, tolerance=0) == 1
    with pytest.raises(InputTypeError, match="tolerance"):
        score("2", 2)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"normalize": "casefolt"}, InputValueError, "did you mean 'casefold'"),
        ({"normalize": 3}, InputTypeError, "normalize"),
        ({"normalize": [3]}, InputTypeError, "normalize"),
        ({"tolerance": "1"}, InputTypeError, "tolerance"),
        ({"tolerance": True}, InputTypeError, "tolerance"),
        ({"tolerance": -1}, InputValueError, "tolerance"),
        ({"tolerance": float("inf")}, InputValueError, "tolerance"),
    ],
)
def test_options_are_checked_at_the_call(options, error, words):
    """A wrong option is refused before anything is compared."""
    with pytest.raises(error, match=words):
        score("a", "b", **options)


@pytest.mark.parametrize("target", [[["a"], [1]], [[], ["a"]], {None}])
def test_wrong_targets_are_refused(target):
    """Acceptable targets must be texts, and at least one."""
    with pytest.raises((InputTypeError, InputValueError), match="target"):
        score(["a", "b"], target)


def test_a_failing_normalizer_is_an_error_not_a_score():
    """The user's error is raised, naming the sample."""

    def fail(text):
        raise LookupError(text)

    with pytest.raises(LookupError) as caught:
        score(["a"], ["a"], normalize=fail)
    assert caught.value.__notes__ == ["while evaluating sample 0"]


@pytest.mark.parametrize("batch", [[None], [None, None]])
def test_a_batch_without_predictions_has_no_score(batch):
    """Nothing was evaluated, so there is no score, also in a batch of one."""
    assert score(batch, "a") is None
    assert score(batch, "a", reduction_fn=None) == batch


@pytest.mark.parametrize(
    ("options", "is_the_users"),
    [
        ({}, False),
        ({"normalize": ["strip", "casefold"], "tolerance": 0.1}, False),
        ({"reduction_fn": max, "reduction_fn_purpose": "maximum"}, False),
        ({"normalize": ["strip", str.lower]}, True),
        ({"normalize": str.lower}, True),
        ({"reduction_fn": len, "reduction_fn_purpose": "count"}, True),
    ],
)
def test_only_functions_of_the_user_leave_the_loop(options, is_the_users):
    """To compare takes no time; a normalizer or a reduction of the user's may."""
    assert ExactMatchEvaluator.calls_user("a", "b", **options) is is_the_users
