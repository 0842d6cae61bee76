"""Pools: whom to go on from, and whom to use."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.errors import InputTypeError, InputValueError
from afnio.optim.pools import BestSeen, Candidate, Current, Pareto, Pool, TopKSoftmax


def made(*rows):
    """Return candidates with these scores."""
    return [
        Candidate(number=n, values=(f"text {n}",), scores={0: tuple(row)})
        for n, row in enumerate(rows)
    ]


def drawn(pool, candidates, count=1, draws=300):
    """Count how often each is a parent."""
    rng = random.Random(0)
    found = Counter()
    for _ in range(draws):
        found.update(one.number for one in pool.parents(candidates, count, rng))
    return found


@pytest.mark.parametrize("pool", [Current(), BestSeen(), TopKSoftmax(), Pareto()])
def test_every_pool_has_a_parent_and_a_best_one(pool):
    """Also when there is only the start, which nobody has scored."""
    [start] = candidates = [Candidate(number=0, values=("x",))]
    assert isinstance(pool, Pool)
    assert pool.best(candidates) is start
    assert pool.parents(candidates, 2, random.Random(0)) == [start]


def test_current_goes_on_from_the_last_one():
    """Whatever came before it."""
    candidates = made([1, 1], [0, 0])
    assert Current().best(candidates).number == 1
    assert drawn(Current(), candidates) == {1: 300}


def test_the_best_seen_is_the_newest_of_equals():
    """By mean score; several parents come in order."""
    candidates = made([1, 0], [0, 1], [0, 0])
    assert BestSeen().best(candidates).number == 1
    parents = BestSeen().parents(candidates, 2, random.Random(0))
    assert [one.number for one in parents] == [1, 0]


def test_softmax_prefers_the_better_ones():
    """``k`` limits who takes part, ``temperature`` makes the draw greedy."""
    candidates = made([0, 0], [1, 0], [1, 1])
    found = drawn(TopKSoftmax(k=2, temperature=0.5), candidates)
    assert found[2] > found[1] > 0 == found[0]
    assert drawn(TopKSoftmax(k=3, temperature=0.01), candidates) == {2: 300}


def test_pareto_draws_who_is_best_at_something():
    """More often who is best on more samples; who is best nowhere, never."""
    candidates = made([1, 0, 0, 0], [0, 1, 1, 1], [0.5, 0.5, 0.5, 0])
    found = drawn(Pareto(), candidates)
    assert set(found) == {0, 1}
    assert 2 * found[0] < found[1] < 5 * found[0]
    assert Pareto().best(candidates).number == 1


def test_ties_go_to_the_newest_or_to_all():
    """Equal texts would all stay alive otherwise."""
    candidates = made([1, 1], [1, 1])
    assert set(drawn(Pareto(), candidates)) == {1}
    assert set(drawn(Pareto(ties="all"), candidates)) == {0, 1}


def test_max_size_keeps_who_wins_most():
    """The others are no parents any more."""
    candidates = made([1, 0, 0], [0, 1, 1])
    assert set(drawn(Pareto(max_size=1), candidates)) == {1}


def test_a_missing_score_wins_nothing():
    """It is neither best nor worst."""
    candidates = made([None, 1], [1, None], [0, 0])
    assert Pareto().wins(candidates) == {0: 1, 1: 1, 2: 0}
    assert candidates[0].mean == 1


rows = st.lists(
    st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=6
)


@given(rows, st.integers(1, 4), st.integers(0, 99))
def test_parents_are_different_and_on_the_front(scores, count, seed):
    """Nobody that is dominated on every sample is drawn, and nobody twice."""
    candidates = made(*scores)
    parents = Pareto().parents(candidates, count, random.Random(seed))
    assert 1 <= len(parents) <= count
    assert len({one.number for one in parents}) == len(parents)
    wins = Pareto(ties="all").wins(candidates)
    assert all(wins[one.number] for one in parents)


def test_candidates_survive_json():
    """Numbers of blocks and missing scores included."""
    one = Candidate(
        number=3, values=("a", 2), scores={0: (1.0, None), 2: (0.5,)}, parents=(1, 2)
    )
    assert Candidate.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    assert one.flat() == (1.0, None, 0.5)


def test_wrong_options_are_refused():
    """Each message names the option."""
    with pytest.raises(InputValueError, match="ties"):
        Pareto(ties="oldest")
    with pytest.raises(InputTypeError, match="max_size"):
        Pareto(max_size="3")
    with pytest.raises(InputValueError, match="temperature"):
        TopKSoftmax(temperature=0)
    with pytest.raises(InputValueError, match="k is 0"):
        TopKSoftmax(k=0)
