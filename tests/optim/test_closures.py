"""SampleClosure: blocks, training samples, and what it says about itself."""

from __future__ import annotations

import pytest

from afnio import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.optim import SampleClosure


def closure(val=tuple(range(10)), **options):
    """Return one that returns the samples it is given."""
    options = {"parameters": [Variable("x")], **options}
    return SampleClosure(lambda samples: list(samples), list(val), **options)


def test_blocks_are_a_partition():
    """Every sample is in one block, in order; sizes differ by one at most."""
    made = closure(block=4)
    parts = [made(block) for block in range(made.blocks)]
    assert [len(part) for part in parts] == [3, 3, 4]
    assert [sample for part in parts for sample in part] == made() == list(range(10))


def test_training_samples_are_asked_for_by_number():
    """``train_size`` says how many there are."""
    made = closure(train=["a", "b", "c"])
    assert made.train((2, 0)) == ["c", "a"]
    assert made.train_size == 3
    assert closure().train_size == 0


def test_the_key_tells_validation_sets_apart():
    """It is the same in another process, addresses in samples or not."""

    class Sample:
        pass

    assert closure([1, 2]).key == closure([1, 2]).key != closure([2, 1]).key
    assert closure([Sample()]).key == closure([Sample()]).key
    assert closure([Variable("a")]).key != closure([Variable("b")]).key


def test_parameters_may_come_from_a_generator():
    """As those of a module do."""
    words = [Variable("a"), Variable("b")]
    assert closure(parameters=(word for word in words)).parameters == words


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"val": []}, InputValueError, "val is empty"),
        ({"block": 0}, InputValueError, "block"),
        ({"block": "8"}, InputTypeError, "block"),
        ({"parameters": ["x"]}, InputTypeError, "parameters"),
        ({"parameters": Variable("x")}, InputTypeError, "parameters"),
        ({"parameters": None}, InputTypeError, "parameters"),
        ({"train": 3}, InputTypeError, "train"),
        ({"train": "abc"}, InputTypeError, "train"),
    ],
)
def test_wrong_arguments_are_refused(options, error, word):
    """Each message names the argument."""
    with pytest.raises(error, match=word):
        closure(**options)


def test_evaluate_must_be_a_function():
    """Not a module's result."""
    with pytest.raises(InputTypeError, match="evaluate"):
        SampleClosure(3, [1], parameters=[])
