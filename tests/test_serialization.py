"""Saving and loading: what survives, what is refused, and that nothing runs."""

import gc
import io
import json
import math
import os
import warnings
import zipfile
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio._state.format import MAX_DEPTH
from afnio.errors import InputTypeError, InputValueError, MissingFileError, StateError
from afnio.serialization import (
    FileObjectError,
    SavedFunction,
    load,
    register_dataclass,
    register_type,
    save,
)


def dumped(obj):
    """Return the bytes that save writes."""
    file = io.BytesIO()
    save(obj, file)
    return file.getvalue()


def again(obj):
    """Return what comes back."""
    return load(io.BytesIO(dumped(obj)))


def document(obj):
    """Return the JSON inside."""
    with zipfile.ZipFile(io.BytesIO(dumped(obj))) as archive:
        return json.loads(archive.read("afnio.json"))


def same(a, b):
    """Compare values as files hold them: types, order, and nan equals nan."""
    if type(a) is not type(b):
        return False
    if isinstance(a, afnio.Variable):
        kept = ("data", "role", "requires_grad", "grad", "evidence")
        return all(same(getattr(a, name), getattr(b, name)) for name in kept)
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return repr(a) == repr(b)
    return a == b


@pytest.mark.parametrize("kind", [str, None, "stream"])
def test_variable_round_trip_through_path_and_stream(tmp_path, kind):
    """S01: a Variable keeps data, role, requires_grad and grad."""
    variable = afnio.Variable(["a", None], "a batch", requires_grad=True)
    variable.append_grad(afnio.Variable("shorter", "feedback to a batch"))
    target = (
        io.BytesIO() if kind == "stream" else (kind or (lambda p: p))(tmp_path / "v.hf")
    )
    save(variable, target)
    if kind == "stream":
        target.seek(0)
    assert same(load(target), variable)


def test_files_are_readable_versioned_json():
    """A prompt can be read in the file with any ZIP and JSON tool."""
    prompt = afnio.Variable("Sei höflich.", "system prompt")
    found = document({"prompt": prompt})
    assert (found["format"], found["version"]) == ("afnio", 1)
    assert found["state"]["prompt"]["data"] == "Sei höflich."
    assert (
        "höflich"
        in zipfile.ZipFile(io.BytesIO(dumped(prompt))).read("afnio.json").decode()
    )


def test_equal_states_give_equal_bytes():
    """Files hold no clock and no random ids."""
    assert dumped({"a": afnio.Variable("x")}) == dumped({"a": afnio.Variable("x")})


@pytest.mark.parametrize("kind", [str, Path])
def test_a_json_name_gives_plain_readable_json(tmp_path, kind):
    """Any editor shows it: an entry a line, in the order of the state, no escapes."""
    path = tmp_path / "Best.JSON"
    state = {"b": afnio.Variable("Sei höflich.", "a prompt"), "a": [1.5] * 40}
    save(state, kind(path))
    text = path.read_text("utf-8")
    written = json.loads(text)
    assert (written["format"], written["state"]["a"]) == ("afnio", [1.5] * 40)
    assert list(written["state"]) == ["b", "a"]
    assert len(text.splitlines()) == 15
    assert "höflich" in text
    assert same(load(kind(path)), state)
    save(state, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_loading_goes_by_contents(tmp_path):
    """A file keeps its kind when it is renamed; editors may add a mark and spaces."""
    save("archive", tmp_path / "x.hf")
    save("plain", tmp_path / "y.json")
    text = (tmp_path / "y.json").read_bytes()
    (tmp_path / "x.hf").rename(tmp_path / "x.json")
    (tmp_path / "y.hf").write_bytes(b"\xef\xbb\xbf \n" + text)
    assert (load(tmp_path / "x.json"), load(tmp_path / "y.hf")) == ("archive", "plain")


def test_a_file_object_gets_an_archive():
    """Only a path has a suffix to go by."""
    assert dumped("x").startswith(b"PK")


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()))
)
variable_data = (
    st.none() | st.text() | st.lists(st.none() | st.floats()) | st.lists(st.text())
)
variables = st.builds(afnio.Variable, variable_data, st.text(), st.booleans())
keys = scalars | st.tuples(st.text(), st.integers()) | variables
values = st.recursive(
    scalars | variables,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(st.sampled_from(["$type", "id", "items", "a"]), inner)
        | st.dictionaries(st.text(), inner, max_size=4).map(OrderedDict)
    ),
    max_leaves=20,
)


@given(values)
def test_any_value_survives(value):
    """Save, then load, is the identity on everything that files hold."""
    assert same(again(value), value)
    with zipfile.ZipFile(io.BytesIO(dumped(value))) as archive:
        plain = archive.read("afnio.json")
    assert same(load(io.BytesIO(plain)), value)


@given(st.lists(values, min_size=1, max_size=3), st.data())
def test_sharing_survives(parts, data):
    """What is one object before is one object after, and nothing else is."""
    shared = [afnio.Variable("v"), [1], {"k": 2}, OrderedDict(z=1), (3, [4])]
    picks = data.draw(st.lists(st.integers(0, len(shared) - 1), min_size=2, max_size=8))
    found = again([*parts, *(shared[pick] for pick in picks)])[len(parts) :]
    for i, first in enumerate(picks):
        for j, second in enumerate(picks):
            assert (found[i] is found[j]) == (first == second)


def test_numbers_keep_kind_and_value():
    """Huge integers, infinities and nan come back as they were."""
    huge = 7**9000
    found = again([huge, -huge, math.inf, -math.inf, math.nan, -0.0, True, 1, 1.0])
    assert found[:4] == [huge, -huge, math.inf, -math.inf]
    assert math.isnan(found[4])
    assert math.copysign(1, found[5]) == -1
    assert [type(item) for item in found[6:]] == [bool, int, float]


def test_subclasses_of_scalars_become_plain():
    """A label from an Enum of str is saved as its text."""

    class Label(str, Enum):  # noqa: UP042 - its str() is not its text
        LOW = "low"

    class Word(str):
        __slots__ = ()

    found = again([Label.LOW, afnio.Variable([Word("low")])])
    assert found[0] == found[1].data[0] == "low"
    assert type(found[0]) is type(found[1].data[0]) is str


def test_state_dict_metadata_survives():
    """An OrderedDict keeps its order and its ``_metadata``."""
    state = OrderedDict(b=afnio.Variable("2"), a=afnio.Variable("1"))
    state._metadata = OrderedDict({"": {"version": 1}})
    found = again(state)
    assert list(found) == ["b", "a"]
    assert found._metadata == state._metadata


def test_cycles_survive_where_they_can():
    """A list that holds itself loads; a tuple that does is refused."""
    ring = [1]
    ring.append(ring)
    found = again(ring)
    assert found[1] is found
    inner = []
    knot = (inner,)
    inner.append(knot)
    with pytest.raises(InputValueError, match=r"state\[0\]\[0\].*contains itself"):
        dumped(knot)


def test_non_leaf_is_saved_detached():
    """A computed Variable keeps data and role, not its graph or requires_grad."""
    result = afnio.Variable("a", "first", requires_grad=True) + "b"
    found = again(result)
    assert (found.data, found.role) == ("ab", result.role)
    assert found.is_leaf
    assert not found.requires_grad


def test_retained_grad_of_a_non_leaf_is_saved():
    """Feedback kept on a computed Variable is not lost."""
    result = afnio.Variable("a", requires_grad=True) + "b"
    result.retain_grad()
    result.append_grad(afnio.Variable("hm"))
    assert again(result).grad[0].data == "hm"


def test_functions_load_as_names_and_refuse_to_run():
    """A function is saved for information; the program supplies it again."""
    found = again({"fn": json.dumps, "cls": OrderedDict, "method": [].append})
    assert found["fn"] == SavedFunction("json.dumps")
    assert found["cls"] == SavedFunction("collections.OrderedDict")
    assert again(found) == found
    with pytest.raises(StateError, match=r"json\.dumps was saved by name only"):
        found["fn"]({})


class Point:
    def __init__(self, x):
        self.x = x


class Registered(Point):
    pass


class Named(NamedTuple):
    x: int


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"x": [0, 1, {2}]}, r"state\['x'\]\[2\]: a builtins\.set"),
        ({"x": {(1, 2): b""}}, r"state\['x'\]\[\(1, 2\)\]: a builtins\.bytes"),
        ([Point(1)], r"state\[0\].*register_type"),
        ({"d": defaultdict(list)}, r"state\['d'\].*convert it with dict"),
        ([Named(1)], r"state\[0\].*convert it with tuple"),
        (afnio.Variable("x", Point(1)), r"state\.role"),
    ],
)
def test_unsupported_types_are_named_with_their_place(value, where):
    """The message says where the value is and what to do."""
    with pytest.raises(InputTypeError, match=where):
        dumped(value)


def test_too_deep_is_refused_on_save():
    """The depth limit is ours, not the interpreter's."""
    deep = []
    for _ in range(MAX_DEPTH):
        deep = [deep]
    with pytest.raises(InputValueError, match="deeper than"):
        dumped(deep)
    assert again(deep[0]) == deep[0]


def test_registered_types_take_part_and_stay_shared():
    """A type that registers itself is saved by its tag, and one object stays one."""
    register_type("Registered", Registered, vars, lambda s: Registered(s["x"]))
    point = Registered(afnio.Variable("v"))
    found = again({"a": point, "b": point, "v": point.x})
    assert isinstance(found["a"], Registered)
    assert found["a"] is found["b"]
    assert found["a"].x is found["v"]


@dataclass(frozen=True)
class Record:
    index: int
    inputs: object = None


def test_evidence_is_saved_best_effort():
    """Registered evidence comes back; what files cannot hold is named in its place."""
    register_dataclass("Record", Record)
    score = afnio.Variable(0.5)
    score.evidence = (Record(0, {"q": "why"}), Record(1, {"q": Point(2)}), "loose")
    found = again(score).evidence
    assert found[0] == Record(0, {"q": "why"})
    assert found[1].inputs["q"].endswith("Point>")
    assert len(found) == 2


@pytest.mark.parametrize(
    "target", [3, None, [], io.StringIO(), type("W", (), {"write": 1})()]
)
def test_wrong_targets_are_refused_as_documented(target):
    """S02: without ``write`` it is an AttributeError, and ours says what is needed."""
    for call in (lambda: save(1, target), lambda: load(target)):
        with pytest.raises(FileObjectError, match="binary file object") as caught:
            call()
        assert isinstance(caught.value, AttributeError)
        assert isinstance(caught.value, TypeError)


def test_old_programs_may_pass_a_pickle_protocol():
    """The documented third argument is accepted and changes nothing."""
    file = io.BytesIO()
    save("x", file, pickle_protocol=2)
    assert file.getvalue() == dumped("x")


def test_streams_that_write_in_pieces_get_everything():
    """A raw stream may take less than it is given."""

    class Slow(io.BytesIO):
        def write(self, data):
            return super().write(data[:7])

    slow = Slow()
    save("x" * 100, slow)
    assert slow.getvalue() == dumped("x" * 100)


@pytest.mark.parametrize("name", ["state.hf", "state.json"])
def test_save_replaces_whole_files_or_nothing(tmp_path, monkeypatch, name):
    """A failure on the way leaves the old file, and no debris."""
    path = tmp_path / name
    save("old", path)
    with pytest.raises(InputTypeError):
        save({"x": {1}}, path)

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save("new", path)
    assert load(path) == "old"
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_handles_are_closed(tmp_path):
    """S06: loading a path leaves no open file behind."""
    path = tmp_path / "state.hf"
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        save("x", path)
        load(path)
        gc.collect()


def test_stream_is_read_from_where_it_stands():
    """A state may follow other bytes in a stream."""
    file = io.BytesIO(b"head" + dumped("x"))
    file.seek(4)
    assert load(file) == "x"


def test_a_missing_file_is_named(tmp_path):
    """As everywhere else; also a FileNotFoundError."""
    with pytest.raises(MissingFileError, match=r"there is no file .*nope\.json"):
        afnio.load(tmp_path / "nope.json")
