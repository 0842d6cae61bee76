"""A reader for the pickles of the documented system that can build nothing harmful.

Three fences. The stream is scanned before anything is built: only the opcodes that data
needs may occur. Then every global becomes a stand-in of ours, or one of a few harmless
built-in types. Last, what was built is copied into values that afnio knows.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, Final, NoReturn

from afnio._state.format import MAX_DEPTH, REGISTRY, SavedFunction
from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import FileFormatError

_OPCODES: Final = frozenset(
    """
    PROTO FRAME STOP MARK POP POP_MARK DUP MEMOIZE
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8
    EMPTY_LIST APPEND APPENDS LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS
    GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT
    GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD
    """.split()
)
_PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_MAX_TUPLES: Final = 10_000
"""Tuples are hashed recursively in C, so their nesting has to be bounded beforehand."""

_BUILTIN_MODULES: Final = frozenset({"builtins", "__builtin__"})
_BUILTINS: Final[dict[str, type]] = {
    kind.__name__: kind for kind in (bool, dict, float, int, list, set, str, tuple)
}
_COLLECTIONS: Final[dict[str, type]] = {
    "OrderedDict": OrderedDict,
    "defaultdict": defaultdict,
}
_PACKAGES: Final = frozenset({"afnio", "hf"})
_MALFORMED: Final = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What unpickling raises on streams that are damaged or hostile."""


class _Record:
    """Stands for a Variable or Parameter while the pickle is read."""

    __slots__ = ("attributes",)

    def __new__(cls, *args: Any) -> _Record:
        """Ignore what a pickle passes to the constructor."""
        del args
        record = super().__new__(cls)
        record.attributes = {}
        return record

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.attributes.update(part)


class _VariableRecord(_Record):
    __slots__ = ()


class _ParameterRecord(_Record):
    __slots__ = ()


_RECORDS: Final[dict[str, type]] = {
    "Parameter": _ParameterRecord,
    "Variable": _VariableRecord,
}


class _Name:
    """Stands for any other global: it has a path and refuses everything else."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        del args, kwargs
        raise FileFormatError(
            f"refused to read the pickle: it would call {shorten(self.path)}. Only "
            "Variables, Parameters and plain values are read; save state dicts, not "
            "modules or other objects."
        )

    __call__ = _refuse
    __setstate__ = _refuse


class _Reader(pickle.Unpickler):
    """An unpickler whose globals are all harmless."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in or a harmless type; nothing is imported."""
        if module in _BUILTIN_MODULES and name in _BUILTINS:
            return _BUILTINS[name]
        if module == "collections" and name in _COLLECTIONS:
            return _COLLECTIONS[name]
        if module.partition(".")[0] in _PACKAGES and name in _RECORDS:
            return _RECORDS[name]
        module = "builtins" if module in _BUILTIN_MODULES else module
        return _Name(f"{module}.{name}")


def read_pickle(payload: bytes) -> Any:
    """Return the values in a pickle, or refuse it.

    Raises:
        FileFormatError: It is damaged, or needs more than inert values.
    """
    try:
        _scan(payload)
        built = _Reader(io.BytesIO(payload)).load()
        return _Copier().copy(built, 0)
    except _MALFORMED as error:
        raise FileFormatError(
            f"refused to read the pickle: it is damaged or hostile: {shorten(error)}"
        ) from error


def _scan(payload: bytes) -> None:
    """Refuse opcodes and sizes that data does not need."""
    tuples = 0
    for opcode, argument, _ in pickletools.genops(payload):
        if opcode.name not in _OPCODES:
            raise FileFormatError(
                f"refused to read the pickle: it uses {opcode.name}, which data does "
                "not need."
            )
        if opcode.name in _PUTS and not 0 <= int(str(argument)) <= len(payload):
            raise FileFormatError("refused to read the pickle: its memo is too large.")
        tuples += opcode.name.startswith("TUPLE")
    if tuples > _MAX_TUPLES:
        raise FileFormatError(
            f"refused to read the pickle: it holds more than {_MAX_TUPLES} tuples."
        )


class _Copier:
    """Copies what the reader built; what is shared stays shared."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._open: set[int] = set()

    def copy(self, value: Any, depth: int) -> Any:
        """Return a copy made of values that afnio knows."""
        if id(value) in self._copies:
            return self._copies[id(value)]
        if depth > MAX_DEPTH:
            raise FileFormatError(
                f"refused to read the pickle: it nests deeper than {MAX_DEPTH} levels."
            )
        if id(value) in self._open:
            raise FileFormatError("refused to read the pickle: a value holds itself.")
        self._open.add(id(value))
        copy = _COPIES.get(type(value))
        result = value if copy is None else copy(self, value, depth + 1)
        self._open.discard(id(value))
        self._copies[id(value)] = result
        return result

    def entries(self, value: dict[Any, Any], depth: int) -> Any:
        """Yield copies of a dict's keys and values."""
        for key, item in value.items():
            yield self.copy(key, depth), self.copy(item, depth)

    def variable(self, record: _Record, depth: int) -> Variable:
        """Return the Variable that a record stands for."""
        found = {
            name.lstrip("_"): self.copy(item, depth)
            for name, item in record.attributes.items()
            if isinstance(name, str) and name.lstrip("_") in _ATTRIBUTES
        }
        flag = bool(found.get("requires_grad", False))
        entry = REGISTRY.of_tag("Parameter")
        cls: Any = Variable
        if isinstance(record, _ParameterRecord) and entry is not None:
            cls = entry.cls
        result: Variable = cls(found.get("data"), found.get("role", ""), flag)
        result.grad = found.get("grad") or []
        return result


_ATTRIBUTES: Final = frozenset({"data", "grad", "requires_grad", "role"})


def _ordered_dict(
    copier: _Copier, value: OrderedDict[Any, Any], depth: int
) -> OrderedDict[Any, Any]:
    result = OrderedDict(copier.entries(value, depth))
    if "_metadata" in vars(value):
        metadata = copier.copy(vars(value)["_metadata"], depth)
        result._metadata = metadata  # type: ignore[attr-defined]
    return result


_COPIES: Final[dict[type, Callable[[_Copier, Any, int], Any]]] = {
    OrderedDict: _ordered_dict,
    _Name: lambda _, value, __: SavedFunction(value.path),
    _ParameterRecord: _Copier.variable,
    _VariableRecord: _Copier.variable,
    defaultdict: lambda copier, value, depth: dict(copier.entries(value, depth)),
    dict: lambda copier, value, depth: dict(copier.entries(value, depth)),
    list: lambda copier, value, depth: [copier.copy(item, depth) for item in value],
    set: lambda copier, value, depth: {copier.copy(item, depth) for item in value},
    tuple: lambda copier, value, depth: tuple(copier.copy(i, depth) for i in value),
}
