"""Samplers: what they draw, that they repeat, and that they leave `random` alone."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.errors import InputTypeError
from afnio.utils.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    WeightedRandomSampler,
)

SEEDED = [
    lambda seed: RandomSampler(range(20), seed=seed),
    lambda seed: RandomSampler(range(20), replacement=True, seed=seed),
    lambda seed: RandomSampler(range(20), num_samples=50, seed=seed),
    lambda seed: WeightedRandomSampler(range(1, 21), 20, seed=seed),
    lambda seed: WeightedRandomSampler(range(1, 21), 20, replacement=False, seed=seed),
]


@pytest.mark.parametrize("make", SEEDED)
def test_a_seed_gives_new_epochs_and_the_same_runs(make):
    """D09: epochs differ from one another; two runs with a seed do not."""
    first, second, other = make(3), make(3), make(4)
    epochs = [list(first) for _ in range(3)]
    assert epochs == [list(second) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert list(other) != epochs[0]


@pytest.mark.parametrize("make", SEEDED)
def test_global_random_is_neither_read_nor_changed(make):
    """D10: the user's own randomness is not touched, and does not leak in."""
    random.seed(1)
    before = random.getstate()
    orders = [list(make(5)), list(make(None))]
    assert random.getstate() == before
    random.seed(2)
    assert list(make(5)) == orders[0]


@pytest.mark.parametrize("make", SEEDED)
def test_state_continues_at_the_next_epoch(make):
    """A sampler without a seed can be continued too."""
    sampler = make(None)
    list(sampler)
    copy = make(0)
    copy.load_state_dict(sampler.state_dict())
    assert [list(copy) for _ in range(2)] == [list(sampler) for _ in range(2)]


def test_orders_are_the_same_on_every_machine():
    """The order of a seed is pinned: changing it would change everybody's runs."""
    assert list(RandomSampler(range(6), seed=0)) == [0, 5, 1, 4, 3, 2]


@given(st.integers(1, 30), st.integers(1, 100), st.integers())
def test_without_replacement_whole_permutations_follow(size, count, seed):
    """D14: no position comes twice before all others came once."""
    drawn = list(RandomSampler(range(size), num_samples=count, seed=seed))
    assert len(drawn) == count
    for start in range(0, count, size):
        part = drawn[start : start + size]
        assert len(set(part)) == len(part)
        assert set(part) <= set(range(size))


def test_random_sampler_checks_its_arguments():
    """D13."""
    for bad in ({"data_source": []}, {"num_samples": 0}, {"num_samples": True}):
        with pytest.raises(ValueError, match="RandomSampler"):
            RandomSampler(**{"data_source": [1], **bad})
    with pytest.raises(TypeError, match="replacement"):
        RandomSampler([1, 2], replacement=1)
    with pytest.raises(InputTypeError, match="seed"):
        RandomSampler([1], seed="x")


@pytest.mark.parametrize(
    "arguments",
    [
        ([1], 2, False),
        ([], 1),
        ([1], 0),
        ([1], True),
        ([1], 1.0),
        ([1], 1, 1),
        (["a"], 1),
        (3, 1),
        ([0, 0], 1),
        ([0, 0], 1, False),
        ([1, -1], 1),
        ([1, float("nan")], 1),
        ([1, float("inf")], 1),
    ],
)
def test_weighted_sampler_checks_its_arguments(arguments):
    """D12, and weights that cannot be meant."""
    with pytest.raises(ValueError, match="WeightedRandomSampler"):
        WeightedRandomSampler(*arguments)


@pytest.mark.parametrize("seed", range(30))
def test_weights_count_without_replacement(seed):
    """D11: the one likely position is always drawn, and drawn first."""
    drawn = list(WeightedRandomSampler([0, 0, 1e9, 0], 2, replacement=False, seed=seed))
    assert drawn[0] == 2
    assert len(set(drawn)) == 2


@pytest.mark.parametrize("replacement", [True, False])
def test_first_draws_follow_the_weights(replacement):
    """Over many epochs, position 0 comes first about 7 times in 10."""
    sampler = WeightedRandomSampler([7, 2, 1, 0], 1, replacement, seed=0)
    counts = Counter(next(iter(sampler)) for _ in range(5000))
    assert abs(counts[0] / 5000 - 0.7) < 0.03
    assert abs(counts[1] / 5000 - 0.2) < 0.03
    assert counts[3] == 0


def test_second_draws_follow_the_weights_that_are_left():
    """After position 0 was drawn, 1 and 2 share what is left by their weights."""
    sampler = WeightedRandomSampler([7, 2, 1], 2, replacement=False, seed=0)
    draws = [tuple(sampler) for _ in range(5000)]
    after = Counter(second for first, second in draws if first == 0)
    assert abs(after[1] / sum(after.values()) - 2 / 3) < 0.03


def test_extreme_weights_do_not_overflow():
    """Sums of huge weights and quotients of tiny ones stay finite."""
    huge = WeightedRandomSampler([1e308, 1e308, 5e-324], 3, replacement=False, seed=0)
    assert sorted(huge) == [0, 1, 2]
    assert set(WeightedRandomSampler([1e308] * 4, 50, seed=0)) <= {0, 1, 2, 3}


def test_lengths():
    """Every sampler says how many positions an epoch has."""
    assert len(SequentialSampler("abc")) == 3
    assert len(RandomSampler("abc")) == 3
    assert len(RandomSampler("abc", num_samples=7)) == 7
    assert len(WeightedRandomSampler([1, 2], 5)) == 5
    assert len(BatchSampler(range(5), 2)) == 3
    assert len(BatchSampler(range(5), 2, drop_last=True)) == 2


@given(st.integers(0, 40), st.integers(1, 9), st.booleans())
def test_batches_partition(size, batch_size, drop_last):
    """Batches are the positions in order, cut into pieces."""
    sampler = BatchSampler(range(size), batch_size, drop_last)
    batches = list(sampler)
    flat = [index for batch in batches for index in batch]
    assert flat == list(range(size // batch_size * batch_size if drop_last else size))
    assert len(batches) == len(sampler)


def test_users_samplers_may_call_super():
    """A subclass needs nothing but ``__iter__``."""

    class Backwards(Sampler[int]):
        def __init__(self, data_source):
            super().__init__(data_source)

        def __iter__(self):
            return iter(range(len(self.data_source) - 1, -1, -1))

    assert list(Backwards("abc")) == [2, 1, 0]
    assert Backwards("abc").state_dict() == {}
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(Sampler())


def test_foreign_states_are_refused():
    """A state that is not a sampler's is named."""
    with pytest.raises(ValueError, match="needs 'seed' and 'epoch'"):
        RandomSampler("abc").load_state_dict({"epoch": "x"})


def test_batch_sampler_checks_its_size():
    """``batch_size`` is a positive int."""
    for bad in (0, -1):
        with pytest.raises(ValueError, match="batch_size"):
            BatchSampler([1], bad)
    for bad in (True, "2", 1.5):
        with pytest.raises(TypeError, match="batch_size"):
            BatchSampler([1], bad)
