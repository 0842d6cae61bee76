"""Tests of afnio.cognitive.modules.split."""

import afnio.cognitive as cog
from afnio import Variable


def _parts(variables):
    return [part.data for part in variables]


def test_calls_do_not_depend_on_each_other():
    """MC01: a call with a separator may follow one without, and the reverse."""
    split, x = cog.Split(), Variable("a-b c")
    for _ in range(2):
        assert _parts(split(x)) == ["a-b", "c"]
        assert _parts(split(x, "-")) == ["a", "b c"]


def test_configuration_and_override():
    """What is configured holds; a call may override it, with None too."""
    split, x = cog.Split("-", 1), Variable("a-b-c d")
    assert _parts(split(x)) == ["a", "b-c d"]
    assert _parts(split(x, maxsplit=-1)) == ["a", "b", "c d"]
    assert _parts(split(x, None)) == ["a-b-c", "d"]
    state = split.state_dict()
    assert {key: entry.data for key, entry in state.items()} == {
        "sep": "-",
        "maxsplit": 1,
    }


def test_state_round_trip():
    """A configured split loads into one without configuration."""
    fresh = cog.Split()
    fresh.load_state_dict(cog.Split(Variable("-")).state_dict())
    assert _parts(fresh(Variable("a-b"))) == ["a", "b"]
