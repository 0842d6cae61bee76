"""The kinds of data a Variable holds; most are tested through Variable."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from afnio import _data

numbers = st.recursive(
    st.integers(-9, 9) | st.floats(allow_nan=False) | st.none(),
    lambda inner: st.lists(inner, max_size=4),
)


def flat(data):
    """List the leaves of nested lists."""
    if not isinstance(data, list):
        return [data]
    return [leaf for item in data for leaf in flat(item)]


@given(numbers)
def test_normalize_is_idempotent(data):
    """Private helper: normalizing twice changes nothing more."""
    once = _data.normalize(data)
    assert repr(_data.normalize(once)) == repr(once)


@given(st.lists(numbers))
def test_numbers_end_up_of_one_kind(data):
    """Private helper: with one float among them, all numbers are floats."""
    found = [leaf for leaf in flat(_data.normalize(data)) if leaf is not None]
    assert len({type(leaf) for leaf in found}) <= 1
    assert found == [leaf for leaf in flat(data) if leaf is not None]


@given(numbers)
def test_shape_matches_nesting(data):
    """Private helper: the shape is as deep as the deepest list."""

    def depth(item):
        return (
            1 + max((depth(i) for i in item), default=0)
            if isinstance(item, list)
            else 0
        )

    shape = _data.shape_of(data)
    assert len(shape) == depth(data)
    if shape:
        assert shape[0] == len(data)


def test_kind_of():
    """Private helper: text, number, or nothing to tell by."""
    assert _data.kind_of([None, ["a"]]) == "text"
    assert _data.kind_of([None, [1]]) == "number"
    assert _data.kind_of([None, []]) is None
