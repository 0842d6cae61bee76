"""Collation: the documented table, and what it refuses."""

from functools import partial
from typing import NamedTuple

import pytest

from afnio import Variable
from afnio.utils.data import DataLoader, collate_tuple, default_collate
from afnio.utils.data.dataloader import collate_tuple as documented_name


def test_variables_become_one_batched_variable():
    """D03 and D04: data is the list; role and requires_grad are the first's."""
    batch = default_collate([Variable("x", "r", True), Variable("y", "q")])
    assert (batch.data, batch.role, batch.requires_grad) == (["x", "y"], "r", True)
    assert default_collate([Variable("x")]).data == ["x"]


def test_tuples_are_collated_by_field():
    """D05: nested tuples recurse."""
    samples = [
        (Variable("a"), (Variable("b"), "s")),
        (Variable("c"), (Variable("d"), "t")),
    ]
    first, (second, third) = collate_tuple(samples)
    assert first.data == ["a", "c"]
    assert second.data == ["b", "d"]
    assert third == ["s", "t"]
    assert documented_name is collate_tuple


def test_mixed_fields_stay_a_list():
    """D06: where only some samples have a tuple, each is a batch of its own."""
    numbers, mixed = default_collate([(1, (Variable("v"), 2)), (2, 5)])
    assert numbers == [1, 2]
    assert mixed[0][0].data == ["v"]
    assert mixed[0][1] == [2]
    assert mixed[1] == 5


def test_dicts_become_dicts_of_lists():
    """D02: Variables in dicts are merged only on request."""
    samples = [{"a": Variable("x"), "b": 1}, {"a": Variable("y"), "b": 2}]
    batch = default_collate(samples)
    assert batch["a"] == [samples[0]["a"], samples[1]["a"]]
    assert batch["b"] == [1, 2]
    loader = DataLoader(
        samples, 2, collate_fn=partial(default_collate, merge_variables=True)
    )
    merged = next(iter(loader))
    assert merged["a"].data == ["x", "y"]
    assert merged["b"] == [1, 2]


def test_named_tuples_keep_their_names():
    """Fields can still be read by name."""

    class Sample(NamedTuple):
        text: str
        label: int

    batch = default_collate([Sample("a", 1), Sample("b", 2)])
    assert batch == Sample(["a", "b"], [1, 2])
    assert type(batch) is Sample


def test_anything_else_stays_a_list():
    """Texts, lists and mixtures are left alone."""
    variable = Variable("x")
    assert default_collate(["a", [1]]) == ["a", [1]]
    assert default_collate([variable, "a"]) == [variable, "a"]


def test_batched_variables_nest():
    """Variables that hold lists give a list of lists."""
    batch = default_collate([Variable(["a", "b"]), Variable(["c"])])
    assert batch.data == [["a", "b"], ["c"]]


def test_ragged_tuples_name_the_sample():
    """A sample with a field less is an error, not a silent cut."""
    with pytest.raises(ValueError, match="sample 2 of the batch has 1 fields"):
        default_collate([(1, 2), (3, 4), (5,)])


def test_different_keys_name_the_sample():
    """A sample with other keys is an error that shows both."""
    with pytest.raises(
        ValueError, match=r"sample 1 .*\['b'\] and sample 0 has \['a'\]"
    ):
        default_collate([{"a": 1}, {"b": 1}])


def test_text_and_numbers_cannot_share_a_batch():
    """The message names the role and what to do."""
    samples = [(Variable("high", "label"),), (Variable(3, "label"),)]
    with pytest.raises(TypeError, match=r"role 'label'.*\(str, int\).*collate_fn"):
        default_collate(samples)
