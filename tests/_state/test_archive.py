"""Archives that nobody should trust."""

import io
import json
import random
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio.errors import FileFormatError
from afnio.serialization import NotAnArchiveError, load, save


def archive(*members, compression=zipfile.ZIP_DEFLATED):
    """Return an archive with these names and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in members:
            target.writestr(name, content)
    return file.getvalue()


def test_missing_member_is_a_runtime_error():
    """S03: an archive of something else is refused, and says what it holds."""
    with pytest.raises(RuntimeError, match=r"no member 'afnio.json', only a\.txt"):
        load(io.BytesIO(archive(("a.txt", "x"))))


def test_pickles_are_never_read_but_pointed_to():
    """S07: the default loader refuses pickles and names the explicit reader."""
    with pytest.raises(FileFormatError, match="load_legacy"):
        load(io.BytesIO(archive(("data.pkl", b"cos\nsystem\n"))))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04", b"\x80\x02."])
def test_other_bytes_are_not_an_archive(content):
    """S04: it is a BadZipFile, and ours."""
    with pytest.raises(
        NotAnArchiveError, match="neither a ZIP archive nor JSON"
    ) as caught:
        load(io.BytesIO(content))
    assert isinstance(caught.value, zipfile.BadZipFile)
    assert isinstance(caught.value, FileFormatError)


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"\xff\xfe",
        b"[1]",
        b'{"format": "afnio", "version": 1, "types": {}, "state": NaN}',
        b'{"format": "afnio", "version": 1, "types": {}}',
        b"[" * 100_000,
        b'{"format": "afnio", "version": 1, "types": {}, "state": '
        + b"9" * 5000
        + b"}",
    ],
)
def test_damaged_json_is_refused(text):
    """Whatever is wrong with the JSON, the error is ours."""
    with pytest.raises(FileFormatError):
        load(io.BytesIO(archive(("afnio.json", text))))


def test_small_files_that_unfold_to_large_ones_are_refused():
    """A ZIP bomb is read up to the limit and no further."""
    bomb = archive(("afnio.json", b" " * 5_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(FileFormatError, match="max_bytes"):
        load(io.BytesIO(bomb), max_bytes=1_000_000)


def test_large_files_are_refused_and_can_be_allowed():
    """The limit is the caller's to raise."""
    rng = random.Random(0)
    text = "".join(chr(rng.randrange(32, 0xD000)) for _ in range(2000))
    file = io.BytesIO()
    save(text, file)
    with pytest.raises(FileFormatError, match="larger than 1000 bytes"):
        load(io.BytesIO(file.getvalue()), max_bytes=1000)
    assert load(io.BytesIO(file.getvalue()), max_bytes=50_000) == text


def test_two_members_of_one_name_are_refused():
    """Which of the two is meant cannot be known."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = archive(("afnio.json", "{}"), ("afnio.json", "{}"))
    with pytest.raises(FileFormatError, match="twice"):
        load(io.BytesIO(content))


def test_other_compressions_are_refused():
    """Only what save writes is unpacked."""
    content = archive(("afnio.json", "{}"), compression=zipfile.ZIP_BZIP2)
    with pytest.raises(FileFormatError, match="compression"):
        load(io.BytesIO(content))


def sample():
    """Return a state with every kind of node in it, and its file."""
    shared = afnio.Variable(["a", None], "role", requires_grad=True)
    shared.append_grad(afnio.Variable("b"))
    state = {"v": [shared, shared, (1, 2.5, float("inf"))], 1: {"k": print}}
    file = io.BytesIO()
    save(state, file)
    return file.getvalue()


def test_plain_json_that_is_not_ours_is_refused():
    """A settings file of another program, or half a file of ours, is no state."""
    for content in (b"{}", b'{"a": 1}', b'{"format": "afnio", "version": 1,'):
        with pytest.raises(FileFormatError):
            load(io.BytesIO(content))
    with pytest.raises(FileFormatError, match="larger than 10 bytes"):
        load(io.BytesIO(b'{"format": "afnio"}'), max_bytes=10)


SAMPLE = sample()
TEXT = zipfile.ZipFile(io.BytesIO(SAMPLE)).read("afnio.json")


def mutated(content, changes):
    """Return bytes with some replaced, removed or repeated."""
    result = bytearray(content)
    for where, what, kind in changes:
        place = where % max(1, len(result))
        if kind == 0:
            result[place : place + 1] = bytes([what])
        elif kind == 1:
            del result[place : place + what]
        else:
            result[place:place] = result[place : place + what]
    return bytes(result)


changes = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 255), st.integers(0, 2)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=400)
@given(changes)
def test_mutated_archives_load_equal_or_are_refused(changes):
    """Damage to the archive never gets further than our error."""
    try:
        found = load(io.BytesIO(mutated(SAMPLE, changes)))
    except FileFormatError:
        return
    assert repr(found) == repr(load(io.BytesIO(SAMPLE)))


@settings(max_examples=400)
@given(changes)
def test_mutated_json_loads_or_is_refused(changes):
    """Damage that a checksum cannot see still raises nothing but our error."""
    text = mutated(TEXT, changes)
    for content in (text, archive(("afnio.json", text))):
        with suppress(FileFormatError):
            load(io.BytesIO(content))


fragments = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 3)
    | st.sampled_from(["nan", "0x1", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {
                "$type": st.sampled_from(
                    ["Variable", "dict", "float", "int", "list", "ref", "tuple", "x"]
                )
            },
            optional=dict.fromkeys(
                ["id", "items", "pairs", "data", "role", "grad", "value", "hex"], inner
            )
            | {"requires_grad": st.booleans()},
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400)
@given(fragments)
def test_hostile_nodes_load_or_are_refused(state):
    """Any JSON in place of the state raises nothing but our error."""
    document = {"format": "afnio", "version": 1, "types": {}, "state": state}
    try:
        load(io.BytesIO(archive(("afnio.json", json.dumps(document)))))
    except FileFormatError:
        return
