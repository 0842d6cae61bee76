"""The registry of types, and files that somebody wrote by hand."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import afnio
from afnio._state.format import Registry, StateType
from afnio.cognitive.parameter import Parameter
from afnio.errors import FileFormatError, InputTypeError, InputValueError
from afnio.serialization import load, register_type, save


class Thing:
    pass


class Other:
    pass


def entry(tag="Thing", cls=Thing, to_state=vars, from_state=vars):
    """Return a row of the registry."""
    return StateType(tag, cls, to_state, from_state)


def loaded(state, **header):
    """Load a file that somebody wrote by hand."""
    head = {"format": "afnio", "version": 1, "types": {}, "state": state}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("afnio.json", json.dumps(head | header))
    file.seek(0)
    return load(file)


def test_a_tag_means_one_class():
    """Another class cannot take a tag, nor can a tag of the format be taken."""
    registry = Registry()
    registry.add(entry())
    with pytest.raises(InputValueError, match=r"belongs to .*Thing"):
        registry.add(entry(cls=Other))
    with pytest.raises(InputValueError, match="the format itself"):
        registry.add(entry("tuple"))


def test_a_reloaded_class_takes_its_own_place():
    """After a module is reloaded its new class is saved, and the old one is not."""
    registry = Registry()
    registry.add(entry())
    again = type("Thing", (), dict(vars(Thing)))
    registry.add(entry(cls=again))
    assert registry.of_class(again) is registry.of_tag("Thing")
    assert registry.of_class(Thing) is None


@pytest.mark.parametrize("wrong", [{"cls": 3}, {"to_state": None}, {"from_state": 1}])
def test_registering_checks_its_arguments(wrong):
    """A class and two functions are needed."""
    with pytest.raises(InputTypeError, match="register_type"):
        Registry().add(entry(**wrong))


def test_unknown_types_say_what_to_import():
    """A file from a program with more types names the module to import."""
    with pytest.raises(FileFormatError, match=r"import their\.module before"):
        loaded({"$type": "Theirs", "state": 1}, types={"Theirs": "their.module"})
    with pytest.raises(FileFormatError, match="no type is registered"):
        loaded({"$type": "Theirs", "state": 1})


def test_our_own_types_need_no_import(tmp_path):
    """A fresh program that imports only afnio can load a file with Parameters."""
    path = tmp_path / "state.hf"
    save({"p": Parameter("Be brief.", "system prompt")}, path)
    program = (
        f"import afnio; found = afnio.load({str(path)!r})['p']; "
        "assert (type(found).__name__, found.data) == ('Parameter', 'Be brief.')"
    )
    root = Path(afnio.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)


def test_contents_that_do_not_fit_a_type_are_damage():
    """What a type's own reader raises on bad contents becomes a file error."""
    register_type("Other", Other, vars, lambda state: state["missing"])
    with pytest.raises(FileFormatError, match="contents of a Other do not fit"):
        loaded({"$type": "Other", "state": {}})


@pytest.mark.parametrize(
    "state",
    [
        {"$type": 3},
        {"$type": "ref", "id": 1},
        {"$type": "ref"},
        {"$type": "tuple"},
        {"$type": "list", "items": {}},
        {"$type": "list", "items": [], "id": "x"},
        {"$type": "dict", "pairs": [[1]]},
        {"$type": "dict", "pairs": [[[], 1]]},
        {"$type": "dict"},
        {"$type": "float", "value": "1"},
        {"$type": "int", "hex": "zz"},
        {"$type": "function", "path": 1},
        {"$type": "Variable", "data": "x", "role": ""},
        {"$type": "Variable", "data": {}, "role": "", "requires_grad": True},
        {"$type": "Variable", "data": ["a", 1], "role": "", "requires_grad": True},
        {
            "$type": "Variable",
            "data": "",
            "role": "",
            "requires_grad": True,
            "grad": ["x"],
        },
    ],
)
def test_damaged_nodes_are_refused(state):
    """Every malformed node is a FileFormatError that says the file is damaged."""
    with pytest.raises(FileFormatError, match="damaged"):
        loaded(state)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"version": 2, "afnio": "9.1"}, r"afnio 9\.1.*upgrade afnio"),
        ({"version": "1"}, "damaged"),
        ({"version": True}, "damaged"),
        ({"format": "other"}, "not one of afnio's"),
        ({"types": 3}, "damaged"),
    ],
)
def test_foreign_and_newer_headers_are_refused(header, reason):
    """A newer file says to upgrade; anything else says what is wrong."""
    with pytest.raises(FileFormatError, match=reason):
        loaded("x", **header)


def nested(make, depth):
    """Return a node in a node in a node."""
    node = 1
    for _ in range(depth):
        node = make(node)
    return node


@pytest.mark.parametrize("depth", [320, 900])
def test_deep_nesting_is_refused(depth):
    """Depth is limited on load too, before the interpreter's stack is."""
    with pytest.raises(FileFormatError):
        loaded(nested(lambda node: [node], depth))


def doubled(tag, times):
    """Return a chain in which every value holds the one before twice."""
    first = {"$type": tag, "id": 0, "items": []}
    rest = [
        {"$type": tag, "id": n, "items": [{"$type": "ref", "id": n - 1}] * 2}
        for n in range(1, times)
    ]
    return [first, *rest]


def test_keys_that_would_take_for_ever_to_hash_are_refused():
    """A key of 2**60 parts, described in a kilobyte, is refused at once."""
    key = {"$type": "ref", "id": 59}
    with pytest.raises(FileFormatError, match="more than"):
        loaded([*doubled("tuple", 60), {"$type": "dict", "pairs": [[key, 1]]}])


def test_shared_lists_cannot_blow_up_a_registered_type():
    """A type is never handed a value that is huge when written out."""
    register_type("Other", Other, vars, lambda state: state["missing"])
    bomb = {"$type": "Other", "state": {"$type": "ref", "id": 59}}
    with pytest.raises(FileFormatError, match="more than"):
        loaded([*doubled("list", 60), bomb])


def test_variables_never_hold_shared_data():
    """A Variable's data is written out, so a reference in it is damage."""
    data = [{"$type": "ref", "id": 59}]
    bomb = {"$type": "Variable", "data": data, "role": "", "requires_grad": False}
    with pytest.raises(FileFormatError, match="cannot hold"):
        loaded([*doubled("list", 60), bomb])
