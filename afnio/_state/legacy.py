"""A reader for the pickles of the documented system that can run nothing.

No unpickler is involved. `pickletools` parses the stream, and a small stack machine of
our own builds inert nodes from it: it knows no way to import or call anything. What it
built is then copied into values that afnio knows, within limits.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn

from afnio._text import shorten
from afnio.errors import FileFormatError


@dataclass(eq=False, slots=True)
class Node:
    """A list, tuple, set, dict or object of the pickle, not yet a value."""

    kind: str
    """``list``, ``tuple``, ``set``, ``dict``, or the path of an object's class."""
    items: list[Any] = field(default_factory=list)
    """What a list, tuple or set holds, or an object's class was called with."""
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    """What a dict holds."""
    state: Any = None
    """What an object's attributes were set from."""


class Global(NamedTuple):
    """A class or function that the pickle names."""

    path: str


def parse(payload: bytes) -> Any:
    """Return the nodes that a pickle describes.

    Raises:
        FileFormatError: It is damaged, or does more than describe data.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(payload):
            step = _STEPS.get(opcode.name)
            if step is None:
                _refuse(f"it uses {opcode.name}, which data does not need")
            step(machine, argument)
        return machine.pop()
    except (ValueError, LookupError, TypeError) as error:
        raise FileFormatError(
            f"the pickle is damaged and was not read: {shorten(error)}"
        ) from error


def _refuse(reason: str) -> NoReturn:
    raise FileFormatError(f"refused to read the pickle: {reason}.")


class _Machine:
    """The stack and memo of a pickle; every step costs what it reads and no more."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def top(self, *kinds: str) -> Node:
        node = self.stack[-1]
        if not isinstance(node, Node) or (kinds and node.kind not in kinds):
            raise TypeError(f"expected {' or '.join(kinds) or 'an object'}")
        return node

    def collect(self, kind: str, items: list[Any]) -> None:
        self.push(Node(kind, items))

    def extend(self, kind: str, items: list[Any]) -> None:
        self.top(kind).items.extend(items)

    def set_pairs(self, flat: list[Any]) -> None:
        node = self.top()
        if node.kind in ("list", "tuple", "set"):
            raise TypeError("expected a dict")
        node.pairs.extend(zip(flat[::2], flat[1::2], strict=True))

    def new_dict(self, flat: list[Any]) -> None:
        self.push(Node("dict"))
        self.set_pairs(flat)

    def take(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise LookupError("the stack is empty")
        found = self.stack[-count:]
        del self.stack[-count:]
        return found

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a global needs a module and a name")
        module = {"__builtin__": "builtins"}.get(module, module)
        self.push(Global(f"{module}.{name}"))

    def construct(self) -> None:
        """Note an object of a known class; nothing is called, now or later."""
        called, arguments = self.take(2)
        path = called.path if isinstance(called, Global) else type(called).__name__
        if class_of(path) is None or not isinstance(called, Global):
            _refuse(
                f"it would call {shorten(path)}. Only Variables, Parameters and plain "
                "values are read: save state dicts, not modules or other objects"
            )
        if not isinstance(arguments, Node) or arguments.kind != "tuple":
            raise TypeError("arguments must be a tuple")
        self.push(Node(path, arguments.items))

    def build(self) -> None:
        state = self.pop()
        node = self.top()
        if class_of(node.kind) is None:
            raise TypeError("only objects have attributes")
        node.state = state


def class_of(path: str) -> str | None:
    """Return which class we know under a path, or None."""
    package, _, name = path.partition(".")[0], *path.rpartition(".")[1:]
    if package in ("afnio", "hf") and name in ("Variable", "Parameter"):
        return name
    return _CLASSES.get(path)


_CLASSES: Final = {
    "builtins.set": "set",
    "collections.OrderedDict": "OrderedDict",
    "collections.defaultdict": "defaultdict",
}

_Step = Callable[[_Machine, Any], Any]

_VALUES: Final = (
    "BINFLOAT BININT BININT1 BININT2 BINSTRING BINUNICODE BINUNICODE8 FLOAT INT LONG "
    "LONG1 LONG4 SHORT_BINSTRING SHORT_BINUNICODE STRING UNICODE"
)
"""Opcodes that push their argument."""

_STEPS: Final[dict[str, _Step]] = {
    **dict.fromkeys(_VALUES.split(), _Machine.push),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda _, __: None),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda m, key: m.push(m.memo[int(key)])
    ),
    **dict.fromkeys(
        ("PUT", "BINPUT", "LONG_BINPUT"),
        lambda m, key: m.memo.__setitem__(int(key), m.stack[-1]),
    ),
    "ADDITEMS": lambda m, _: m.extend("set", m.pop_to_mark()),
    "APPEND": lambda m, _: m.extend("list", m.take(1)),
    "APPENDS": lambda m, _: m.extend("list", m.pop_to_mark()),
    "BUILD": lambda m, _: m.build(),
    "DICT": lambda m, _: m.new_dict(m.pop_to_mark()),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "EMPTY_DICT": lambda m, _: m.push(Node("dict")),
    "EMPTY_LIST": lambda m, _: m.push(Node("list")),
    "EMPTY_SET": lambda m, _: m.push(Node("set")),
    "EMPTY_TUPLE": lambda m, _: m.push(Node("tuple")),
    "GLOBAL": lambda m, name: m.name(*name.split(" ", 1)),
    "LIST": lambda m, _: m.collect("list", m.pop_to_mark()),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "MEMOIZE": lambda m, _: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "NEWOBJ": lambda m, _: m.construct(),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NONE": lambda m, _: m.push(None),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.pop_to_mark(),
    "REDUCE": lambda m, _: m.construct(),
    "SETITEM": lambda m, _: m.set_pairs(m.take(2)),
    "SETITEMS": lambda m, _: m.set_pairs(m.pop_to_mark()),
    "STACK_GLOBAL": lambda m, _: m.name(*m.take(2)),
    "TUPLE": lambda m, _: m.collect("tuple", m.pop_to_mark()),
    "TUPLE1": lambda m, _: m.collect("tuple", m.take(1)),
    "TUPLE2": lambda m, _: m.collect("tuple", m.take(2)),
    "TUPLE3": lambda m, _: m.collect("tuple", m.take(3)),
}
"""What each opcode does; others are refused."""
