"""agreement: accuracy and Cohen's kappa with intervals."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from afnio import Variable
from afnio.autodiff.evaluator import ExactMatchEvaluator, agreement
from afnio.errors import InputTypeError, InputValueError

TABLE = {(0, 0): 20, (0, 1): 5, (1, 0): 10, (1, 1): 15}


def from_table(table):
    """Return scores and labels with these counts."""
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def kappa_of(table):
    """Compute kappa from counts, by its definition."""
    n = sum(table.values())
    names = {name for pair in table for name in pair}
    same = sum(table.get((a, a), 0) for a in names) / n
    chance = sum(
        sum(c for (a, _), c in table.items() if a == name)
        * sum(c for (_, b), c in table.items() if b == name)
        for name in names
    ) / (n * n)
    return (same - chance) / (1 - chance)


def test_a_table_from_the_literature():
    """The textbook example with 50 proposals has kappa 0.40."""
    result = agreement(*from_table(TABLE))
    assert result.n == 50
    assert result.accuracy == 0.7
    assert result.kappa == pytest.approx(0.4)


@pytest.mark.parametrize("seed", range(5))
def test_interval_is_the_delta_method(seed):
    """The closed formula equals the variance from numeric derivatives."""
    rng = random.Random(seed)
    names = range(rng.choice([2, 3, 4]))
    table = {pair: rng.randint(1, 30) for pair in itertools.product(names, names)}
    n, step = sum(table.values()), 1e-5
    slopes = {
        pair: (
            kappa_of(table | {pair: count + step})
            - kappa_of(table | {pair: count - step})
        )
        / (2 * step)
        * n
        for pair, count in table.items()
    }
    shares = {pair: count / n for pair, count in table.items()}
    mean = sum(shares[pair] * slope for pair, slope in slopes.items())
    variance = sum(shares[p] * (slope - mean) ** 2 for p, slope in slopes.items()) / n
    reach = 1.959963984540054 * math.sqrt(variance)
    result = agreement(*from_table(table))
    low, high = result.kappa_interval
    assert (high - low) / 2 == pytest.approx(reach, rel=1e-6)
    assert (high + low) / 2 == pytest.approx(result.kappa)


def test_perfect_and_one_sided():
    """All equal is kappa 1; where everything is one value, kappa says nothing."""
    perfect = agreement([0, 1, 1], [0, 1, 1])
    assert (perfect.kappa, perfect.kappa_interval) == (1, (1, 1))
    assert perfect.accuracy_interval[0] < 0.5
    alike = agreement([1, 1], [True, 1.0])
    assert (alike.accuracy, alike.kappa, alike.kappa_interval) == (1, None, None)
    assert "kappa" not in str(alike)


def test_scores_of_an_evaluator():
    """A score Variable gives its samples' scores; missing ones are left out."""
    predictions = Variable(["a", "b", None, "d"])
    score, _ = ExactMatchEvaluator.apply(predictions, ["a", "x", "c", "d"])
    result = agreement(score, [1, 0, 1, None])
    assert (result.n, result.missing, result.accuracy) == (2, 2, 1)
    assert agreement(Variable([1, 0]), [1, 1]).accuracy == 0.5


@pytest.mark.parametrize(
    ("scores", "labels", "error"),
    [
        ([1], [1, 0], InputValueError),
        ([None], [1], InputValueError),
        ([[1]], [1], InputTypeError),
        ([float("nan")], [1], InputTypeError),
    ],
)
def test_what_cannot_be_compared(scores, labels, error):
    """Lengths must fit, and values must be plain."""
    with pytest.raises(error):
        agreement(scores, labels)
