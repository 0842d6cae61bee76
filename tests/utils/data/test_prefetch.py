"""Tests of DataLoader(prefetch=…): the same batches, looked up ahead."""

import threading

import pytest

from afnio.errors import InputTypeError, InputValueError
from afnio.utils.data import DataLoader


class Slow:
    """A data set that answers the first look-up only after two others have begun."""

    def __init__(self):
        self.begun = threading.Barrier(3)

    def __len__(self):
        return 6

    def __getitem__(self, index):
        self.begun.wait(timeout=30)
        return index


def test_batches_are_looked_up_at_the_same_time_and_stay_in_order():
    """Without threads the barrier would never open."""
    assert list(DataLoader(Slow(), prefetch=2)) == [[n] for n in range(6)]


@pytest.mark.parametrize("prefetch", [0, 1, 3, 100])
def test_state_says_what_the_loop_has_seen(prefetch):
    """Batches that are only on their way are not counted as used."""
    loader = DataLoader(range(10), 2, shuffle=True, seed=4, prefetch=prefetch)
    epoch = iter(loader)
    first = [next(epoch) for _ in range(2)]
    again = DataLoader(range(10), 2, shuffle=True, seed=4, prefetch=prefetch)
    again.load_state_dict(loader.state_dict())
    assert first + list(again) == list(DataLoader(range(10), 2, True, seed=4))
    assert len(list(loader)) == 5


def test_errors_come_at_their_batch():
    """Earlier batches arrive; the error names the positions."""

    class Broken(Slow):
        def __getitem__(self, index):
            return 1 // (3 - index)

    epoch = iter(DataLoader(Broken(), prefetch=4))
    assert [next(epoch) for _ in range(3)] == [[0], [0], [1]]
    with pytest.raises(ZeroDivisionError) as caught:
        next(epoch)
    assert "in batch 3" in caught.value.__notes__[0]


def test_iterables_are_read_in_order():
    """What has no positions is read by the loop; only collating is ahead."""
    numbers = (n for n in range(5))
    assert list(DataLoader(numbers, 2, prefetch=2)) == [[0, 1], [2, 3], [4]]


def test_wrong_values_are_named():
    """A count, from 0 on."""
    with pytest.raises(InputValueError, match="prefetch"):
        DataLoader([1], prefetch=-1)
    with pytest.raises(InputTypeError, match="prefetch"):
        DataLoader([1], prefetch="2")
