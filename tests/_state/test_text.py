"""JSON for people."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio._state.encode import fragment
from afnio._state.text import read_json, write_json
from afnio._variable import Variable
from afnio.errors import FileFormatError, InputValueError
from afnio.serialization import load, save

data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.text(), data))
def test_any_document_is_read_as_it_was_written(document):
    """The layout changes no value and no order."""
    text = write_json(document)
    assert read_json(text, "it") == document == json.loads(text)
    assert list(read_json(text, "it")) == list(document)


def test_small_things_stay_in_a_line():
    """What is wider is broken, an item a line; numbers never are."""
    text = write_json({"a": {"b": 1, "c": ["x"]}, "n": [0.5] * 90, "w": ["y" * 60] * 2})
    lines = text.decode().splitlines()
    assert lines[:2] == ["{", ' "a": {"b": 1, "c": ["x"]},']
    assert lines[2] == f' "n": [{", ".join(["0.5"] * 90)}],'
    assert lines[3:] == [' "w": [', f'  "{"y" * 60}",', f'  "{"y" * 60}"', " ]", "}"]


def test_what_json_lacks_is_refused():
    """NaN is no JSON, wherever it comes from."""
    with pytest.raises(FileFormatError, match="it is not readable JSON"):
        read_json(b"[NaN]", "it")


def test_fragments_load_as_what_they_say(tmp_path):
    """A part encoded beforehand is a plain value in the file and after loading."""
    part = {"x": (1, float("nan")), "$type": "mine"}
    save([fragment(part), fragment(part)], tmp_path / "x.json")
    one, two = load(tmp_path / "x.json")
    assert repr(one) == repr(part) == repr(two)
    assert one is not two


def test_fragments_hold_plain_values_only():
    """Labels and registered types need the whole document."""
    shared = [1]
    with pytest.raises(InputValueError, match="plain values"):
        fragment([shared, shared])
    assert fragment(Variable("v")).startswith('{"$type": "Variable"')
