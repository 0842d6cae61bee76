"""Tests of afnio.cognitive.modules.sum."""

import pytest

import afnio.cognitive as cog
from afnio import Variable


@pytest.mark.parametrize("kind", [list, tuple])
def test_sums(kind):
    """MC04: a list and a tuple of Variables are summed."""
    assert cog.Sum()(kind([Variable(1), Variable(2)])).data == 3


def test_plain_texts_are_refused():
    """Only Variables can be summed."""
    with pytest.raises(TypeError):
        cog.Sum()(["a", "b"])
