"""Datasets and splits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import Variable
from afnio.utils.data import Dataset, ListDataset, Subset, find_overlap, random_split


def test_the_base_class_names_what_is_missing():
    """A subclass without a method is told which."""

    class Half(Dataset):
        def __len__(self):
            return 1

    with pytest.raises(NotImplementedError, match="Half must define __getitem__"):
        Half()[0]
    with pytest.raises(NotImplementedError, match="__len__"):
        len(Dataset())


def test_list_dataset_keeps_its_own_list():
    """Changing the list afterwards changes nothing."""
    samples = ["a", "b"]
    dataset = ListDataset(samples)
    samples.append("c")
    assert (len(dataset), dataset[1], list(dataset)) == (2, "b", ["a", "b"])
    assert repr(dataset) == "ListDataset(2 samples)"


@given(st.integers(0, 60), st.lists(st.integers(0, 9), min_size=1), st.integers())
def test_random_splits_partition(size, shares, seed):
    """Every position is in exactly one part, for sizes and for fractions."""
    total = sum(shares)
    splits = [[*shares[:-1], shares[-1] + size]] if not total else []
    if total:
        splits.append([share / total for share in shares])
    for lengths in splits:
        data = range(size if total else sum(lengths))
        parts = random_split(data, lengths, seed)
        assert sorted(item for part in parts for item in part) == list(data)
        assert parts[0].indices == random_split(data, lengths, seed)[0].indices


def test_random_split_shuffles_by_seed():
    """Seeds differ; the default is a fixed one, so that test sets stay the same."""
    orders = [random_split(range(30), [30], seed)[0].indices for seed in (0, 1)]
    assert orders[0] != orders[1]
    assert random_split(range(30), [30])[0].indices == orders[0]


@pytest.mark.parametrize("lengths", [[3, 3], [0.5, 0.6], [-1, 11], [True, 9], []])
def test_lengths_that_do_not_add_up_are_refused(lengths):
    """Nothing is dropped silently."""
    with pytest.raises(ValueError, match="random_split"):
        random_split(range(10), lengths)


def test_overlap_finds_what_two_parts_share():
    """Leaks are found by content, or by what the key says."""
    train = [(Variable("a"), "x"), (Variable("b"), {"k": [1]}), (Variable("a"), "x")]
    test = [(Variable("b"), {"k": [1]}), (Variable("a", "other role"), "x")]
    assert find_overlap(train, test) == [(0, 1), (1, 0), (2, 1)]
    assert find_overlap(train, [(Variable("a"), "y")]) == []
    assert find_overlap(["Ab"], ["aB"], key=str.lower) == [(0, 0)]
    with pytest.raises(TypeError, match="hashable"):
        find_overlap(["a"], ["a"], key=list)


def test_subset_says_how_much_it_holds():
    """A part can be told from the whole."""
    assert repr(Subset("abc", [2, 0])) == "Subset(2 of 3 samples)"
    assert list(Subset("abc", [2, 0])) == ["c", "a"]
