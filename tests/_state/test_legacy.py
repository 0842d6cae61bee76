"""The reader of documented pickles: what it reads, and that it runs nothing."""

import io
import os
import pickle
import pickletools
import struct
import sys
import zipfile
from collections import OrderedDict, defaultdict
from contextlib import suppress
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio.errors import FileFormatError
from afnio.serialization import SavedFunction, load_legacy


class Variable:
    """What the documented system pickled: attributes by name, some underscored."""

    def __init__(self, data, role="", requires_grad=False):
        self._data = data
        self.role = role
        self.requires_grad = requires_grad
        self._grad = []
        self.variable_id = "of-another-session"


class Parameter(Variable):
    pass


class Stranger:
    pass


def named(monkeypatch, cls, module):
    """Let pickle believe that a class lives in this module."""
    monkeypatch.setattr(cls, "__module__", module)
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    setattr(sys.modules[module], cls.__name__, cls)


def archived(payload):
    """Return a file object as the documented save wrote them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", payload)
    file.seek(0)
    return file


def read(payload):
    """Read a pickle."""
    return load_legacy(archived(payload))


def checkpoint():
    """Return a state like that of the documented tutorial."""
    prompt = Parameter("Be brief.", "system prompt", requires_grad=True)
    prompt._grad = [Variable("Say more.", "feedback to system prompt")]
    agent = OrderedDict({"classifier.prompt": prompt, "classifier.fn": os.getcwd})
    agent._metadata = OrderedDict({"": {"version": 1}})
    state = defaultdict(dict)
    state[prompt] = {"momentum": [(prompt, [Variable("x")])], "seen": {1, 2}}
    optimizer = {"state": state, "param_groups": [{"params": [prompt], "momentum": 3}]}
    return {
        "epoch": 3,
        "batch": None,
        "agent_state_dict": agent,
        "optimizer_state_dict": optimizer,
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_documented_checkpoints_are_read(monkeypatch, protocol):
    """S05: all four keys are readable, shared parameters stay shared."""
    with monkeypatch.context() as patch:
        named(patch, Variable, "afnio._variable")
        named(patch, Parameter, "afnio.cognitive.parameter")
        payload = pickle.dumps(checkpoint(), protocol)
    found = read(payload)
    assert list(found)[:2] == ["epoch", "batch"]
    agent, optimizer = found["agent_state_dict"], found["optimizer_state_dict"]
    prompt = agent["classifier.prompt"]
    assert isinstance(prompt, afnio.Variable)
    assert (prompt.data, prompt.role) == ("Be brief.", "system prompt")
    assert prompt.requires_grad
    assert [item.data for item in prompt.grad] == ["Say more."]
    assert agent._metadata == {"": {"version": 1}}
    assert agent["classifier.fn"] == SavedFunction(f"{os.getcwd.__module__}.getcwd")
    assert optimizer["param_groups"][0]["params"][0] is prompt
    assert optimizer["state"][prompt]["seen"] == {1, 2}
    assert optimizer["state"][prompt]["momentum"][0][0] is prompt


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.dictionaries(st.text(), inner).map(OrderedDict)
        | st.sets(st.integers())
    ),
    max_leaves=15,
)


@given(plain, st.integers(2, 5))
def test_plain_values_survive_every_protocol(value, protocol):
    """What pickle writes of plain values, the machine reads the same."""
    found = read(pickle.dumps(value, protocol))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("protocol", [0, 1])
def test_the_oldest_protocols_are_read(protocol):
    """Text protocols use other opcodes for the same values."""
    value = {"a": [1, 2.5, None, True, 10**20], "b": (), "c": ("x", "é", [[]])}
    assert read(pickle.dumps(value, protocol)) == value


class Evil:
    """Runs a command when unpickled."""

    def __init__(self, call, *args):
        self.call = (call, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, "touch afnio-was-here"),
        (eval, "1"),
        (getattr, "", "join"),
        (list, "x"),
        (bytes, 10**9),
        (__import__, "os"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_calls_are_refused(tmp_path, monkeypatch, call, protocol):
    """S07: nothing is called, and the message names what would have been."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileFormatError, match=f"would call .*{call[0].__name__}"):
        read(pickle.dumps([Evil(*call)], protocol))
    assert not list(tmp_path.iterdir())


def test_objects_of_other_classes_are_refused():
    """A pickled module or object says to save its state dict."""
    with pytest.raises(FileFormatError, match=r"Stranger.*state dicts"):
        read(pickle.dumps(Stranger(), 2))


def test_a_class_with_our_name_elsewhere_is_a_stranger():
    """Only Variables of the documented packages are Variables."""
    with pytest.raises(FileFormatError, match="would call"):
        read(pickle.dumps(Variable("x"), 2))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02}",
        b".",
        b"0.",
        b"e.",
        b"h\x07.",
        b"\x80\x02K\x01R.",
        b"\x80\x02]K\x01b.",
        b"\x80\x02K\x01K\x02K\x03s.",
        b"\x80\x02K\x01\x85K\x02a.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x02\x82\x01.",
        b"Pname\n.",
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x8c\x01x\x85R.",
        b"\x80\x02cbuiltins\nset\nK\x01R.",
        b"\x80\x02]}s.",
    ],
)
def test_damaged_and_handmade_pickles_are_refused(payload):
    """Whatever the bytes are, the error is ours."""
    with pytest.raises(FileFormatError):
        read(payload)


def test_a_huge_memo_index_costs_nothing():
    """Pickle's own reader allocates by the index; ours does not."""
    index = struct.pack("<I", 2**32 - 1)
    assert read(b"\x80\x02K\x01r" + index + b"j" + index + b"\x86.") == (1, 1)


def chain(start, step, times, end):
    """Return a pickle that doubles a value again and again through the memo."""
    return b"\x80\x02" + start + b"q\x00" + (b"h\x00" + step) * times + end


def test_values_that_unfold_for_ever_are_refused():
    """Tuples doubled 90 times may be shared, but not hashed or put in a Variable."""
    doubled = chain(b")", b"h\x00\x86q\x00", 90, b"")
    assert len(read(doubled + b".")) == 2
    with pytest.raises(FileFormatError, match="more than"):
        read(doubled + b"}h\x00K\x01s.")
    variable = b"cafnio._variable\nVariable\n)\x81}X\x04\x00\x00\x00datah\x00sb."
    with pytest.raises(FileFormatError, match="more than"):
        read(doubled + variable)


def test_deep_and_cyclic_values_are_refused():
    """Depth is limited, and a value cannot hold itself."""
    with pytest.raises(FileFormatError, match="nests deeper"):
        read(b"\x80\x02)" + b"\x85" * 100_000 + b".")
    with pytest.raises(FileFormatError, match="nests deeper"):
        read(b"\x80\x02]q\x00h\x00a.")


def test_data_that_no_variable_can_hold_is_refused():
    """A Variable of a dict is damage."""
    with pytest.raises(FileFormatError, match="damaged"):
        read(b"\x80\x02cafnio._variable\nVariable\n)\x81}X\x04\x00\x00\x00data}sb.")


SAMPLE = pickle.dumps({"a": [1, (2.5, "x")], "s": {3}, "o": OrderedDict(b=None)}, 2)
OPCODES = b"".join(op.code.encode("latin-1") for op in pickletools.opcodes)


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SAMPLE) - 1), st.sampled_from(list(OPCODES))),
        max_size=6,
    )
)
def test_mutated_pickles_read_or_are_refused(changes):
    """Any opcode anywhere raises nothing but our error, and imports nothing."""
    payload = bytearray(SAMPLE)
    for place, what in changes:
        payload[place] = what
    before = set(sys.modules)
    with suppress(FileFormatError):
        read(bytes(payload))
    assert set(sys.modules) == before
