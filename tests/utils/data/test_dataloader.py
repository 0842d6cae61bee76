"""DataLoader: batches, independence of iterators, exact resuming, clear errors."""

import json
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import Variable
from afnio.errors import StateError
from afnio.utils.data import (
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
)


class Squares(Dataset[int]):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return index * index


@pytest.mark.parametrize(
    "data", [list(range(5)), range(5), {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}]
)
def test_batches_of_anything_with_positions(data):
    """D01: lists do as well as Datasets."""
    loader = DataLoader(data, batch_size=2)
    assert list(loader) == [[0, 1], [2, 3], [4]]
    assert list(loader) == [[0, 1], [2, 3], [4]]
    assert len(loader) == 3
    dropping = DataLoader(data, batch_size=2, drop_last=True)
    assert (list(dropping), len(dropping)) == ([[0, 1], [2, 3]], 2)


def test_a_dataset_of_variables():
    """The default batch of one is a list of one."""
    loader = DataLoader([Variable("a", "r"), Variable("b", "r")])
    assert [batch.data for batch in loader] == [["a"], ["b"]]
    assert list(DataLoader(Squares(), 3)) == [[0, 1, 4], [9, 16]]


def test_sampler_decides_order_and_length():
    """D08: ``len`` counts what the sampler gives, not the dataset."""
    loader = DataLoader("abc", batch_size=2, sampler=[2, 0])
    assert list(loader) == [["c", "a"]]
    assert len(loader) == 1
    weighted = DataLoader("abc", 4, sampler=WeightedRandomSampler([1, 1, 1], 10))
    assert len(weighted) == len(list(weighted)) == 3


def test_shuffle_is_seeded_per_epoch():
    """D09: new order every epoch, same orders every run."""
    first, second = (DataLoader(range(20), 3, shuffle=True, seed=1) for _ in range(2))
    epochs = [list(first), list(first)]
    assert epochs == [list(second), list(second)]
    assert epochs[0] != epochs[1]
    assert sorted(chain.from_iterable(epochs[0])) == list(range(20))


def test_nested_loops_are_independent():
    """D15: an inner loop over the same loader disturbs nothing."""
    loader = DataLoader(range(4), 2, shuffle=True, seed=0)
    seen = []
    for batch in loader:
        seen += batch
        assert sorted(chain.from_iterable(loader)) == [0, 1, 2, 3]
    assert sorted(seen) == [0, 1, 2, 3]


def test_iterables_are_read_in_their_order():
    """An iterable without positions is batched as it comes, every epoch."""

    class Stream:
        def __iter__(self):
            return iter("abcde")

    loader = DataLoader(Stream(), batch_size=2)
    assert [list(loader) for _ in range(2)] == [[["a", "b"], ["c", "d"], ["e"]]] * 2
    with pytest.raises(TypeError):
        len(loader)
    with pytest.raises(ValueError, match="Stream has no positions"):
        DataLoader(Stream(), shuffle=True)
    with pytest.raises(ValueError, match="Stream has no positions"):
        DataLoader(Stream(), sampler=[0])


def test_iterable_datasets_may_derive_from_dataset():
    """A Dataset with ``__iter__`` only is an iterable one."""

    class Lines(Dataset[str]):
        def __iter__(self):
            return iter(["a", "b"])

    assert list(DataLoader(Lines(), 2)) == [["a", "b"]]


@pytest.mark.parametrize("once", [{"dataset": iter("ab")}, {"sampler": iter([0])}])
def test_iterators_are_not_used_twice(once):
    """A second epoch over a generator is an error, not an empty epoch."""
    loader = DataLoader(**{"dataset": "ab", **once})
    assert len(list(loader)) > 0
    with pytest.raises(StateError, match="only once"):
        iter(loader)


def test_batch_sampler_gives_whole_batches():
    """Lists of positions come from a batch sampler."""
    loader = DataLoader("abcd", batch_sampler=[[3, 0], [1]])
    assert list(loader) == [["d", "a"], ["b"]]
    assert len(loader) == 2
    with pytest.raises(
        TypeError, match="pass samplers of whole batches as batch_sampler"
    ):
        list(DataLoader("abcd", sampler=[[3, 0]]))


def test_without_batch_size_samples_come_alone():
    """``batch_size=None`` neither batches nor collates."""
    assert list(DataLoader("abc", batch_size=None)) == ["a", "b", "c"]
    assert len(DataLoader("abc", batch_size=None)) == 3
    assert list(DataLoader(iter("ab"), batch_size=None)) == ["a", "b"]
    upper = DataLoader("ab", batch_size=None, collate_fn=str.upper)
    assert list(upper) == ["A", "B"]


def test_collate_fn_makes_the_batch():
    """The user's function sees the list of samples."""
    assert list(DataLoader("abc", 2, collate_fn="-".join)) == ["a-b", "c"]


def test_getitems_fetches_a_batch_at_once():
    """A dataset that can look up many positions is asked once per batch."""
    asked = []

    class Many(Squares):
        def __getitems__(self, indices):
            asked.append(indices)
            return [self[index] for index in indices]

    assert list(DataLoader(Many(), 3)) == [[0, 1, 4], [9, 16]]
    assert asked == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"shuffle": True, "sampler": [0]}, ValueError, "exclude one another"),  # D07
        ({"shuffle": 1}, ValueError, "shuffle must be True or False"),
        ({"batch_size": 0}, ValueError, "1 or more"),
        ({"batch_size": "2"}, TypeError, "must be an int"),
        ({"batch_size": None, "drop_last": True}, ValueError, "needs a batch_size"),
        ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "excludes"),
        ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "excludes"),
        ({"dataset": 3}, TypeError, "must be an iterable"),
        ({"dataset": [], "shuffle": True}, ValueError, "no data"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    """Every refusal says what excludes what."""
    with pytest.raises(error, match=message):
        DataLoader(**{"dataset": "ab", **arguments})


def test_errors_say_which_positions():
    """A sample that cannot be read or collated is named with its batch."""
    loader = DataLoader([(1, 2), (1, 2), (1, 2), (1,)], batch_size=2)
    iterator = iter(loader)
    next(iterator)
    with pytest.raises(ValueError, match="sample 1") as caught:
        next(iterator)
    assert caught.value.__notes__ == ["in batch 1: positions [2, 3]"]


def test_empty_datasets_have_no_batches():
    """Nothing in, nothing out."""
    assert list(DataLoader([], 2)) == []
    assert len(DataLoader([], 2)) == 0


LOADERS = [
    lambda: DataLoader(range(10), 3, shuffle=True, seed=5),
    lambda: DataLoader(range(10), 3),
    lambda: DataLoader(range(10), 3, sampler=RandomSampler(range(10), True, seed=2)),
    lambda: DataLoader(range(10), batch_sampler=[[1], [2, 3], [4], [0]]),
    lambda: DataLoader(iter(range(10)), 3),
    lambda: DataLoader(range(10), None, sampler=[3, 1, 4, 1]),
]


@pytest.mark.parametrize("make", LOADERS)
@pytest.mark.parametrize("stop", [0, 1, 3, 4])
def test_an_epoch_resumes_at_its_next_batch(make, stop):
    """After k batches the state, as JSON, continues with batch k + 1."""
    loader = make()
    iterator = iter(loader)
    for _ in range(stop):
        next(iterator)
    state = json.loads(json.dumps(loader.state_dict()))
    assert state["batch"] == stop
    fresh = make()
    fresh.load_state_dict(state)
    assert list(fresh) == list(iterator)


@given(st.integers(0, 3), st.integers(0, 4), st.integers(0, 99))
def test_later_epochs_continue_too(epochs, batches, seed):
    """A loader stopped in epoch e goes on through e + 1 as if never stopped."""

    def make():
        return DataLoader(range(7), 2, shuffle=True, seed=seed)

    loader, fresh = make(), make()
    for _ in range(epochs):
        list(loader)
    iterator = iter(loader)
    for _ in range(batches):
        next(iterator)
    fresh.load_state_dict(loader.state_dict())
    assert fresh.state_dict() == loader.state_dict()
    assert list(fresh) == list(iterator)
    assert fresh.state_dict() == loader.state_dict()
    assert list(fresh) == list(loader)


def test_unseeded_order_can_be_resumed():
    """The seed drawn from the system is part of the state."""
    loader = DataLoader(range(50), 5, shuffle=True)
    iterator = iter(loader)
    next(iterator)
    fresh = DataLoader(range(50), 5, shuffle=True)
    fresh.load_state_dict(loader.state_dict())
    assert list(fresh) == list(iterator)


def test_a_finished_epoch_leaves_the_next_one():
    """Once the loop is over, the state is the start of the next epoch."""
    loader = DataLoader(range(4), 2)
    assert loader.state_dict()["epoch"] == 0
    list(loader)
    assert (loader.state_dict()["epoch"], loader.state_dict()["batch"]) == (1, 0)


def test_foreign_states_are_refused():
    """The message says what a loader's state holds."""
    with pytest.raises(ValueError, match="needs 'epoch', 'batch' and 'sampler'"):
        DataLoader("ab").load_state_dict({"epoch": 1})


def test_the_sampler_is_there_under_its_documented_name():
    """``loader.sampler`` exists."""
    assert isinstance(DataLoader("ab").sampler, SequentialSampler)
    assert isinstance(DataLoader("ab", shuffle=True).sampler, RandomSampler)
