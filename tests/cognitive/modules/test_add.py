"""Tests of afnio.cognitive.modules.add."""

import afnio.cognitive as cog
from afnio import Variable


def test_adds():
    """The module adds as the function does, and has no state."""
    add = cog.Add()
    result = add(Variable("a", "x"), Variable("b", "y"))
    assert (result.data, result.role) == ("ab", "x and y")
    assert repr(add) == "Add()"
    assert dict(add.state_dict()) == {}
