"""From values to JSON: the writing half of the format."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

from afnio._state.format import MAX_DEPTH, REGISTRY, TYPE, SavedFunction
from afnio._state.text import Fragment, compact
from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError

Json = Any

_FUNCTIONS: Final = (FunctionType, BuiltinFunctionType, MethodType, type)
_PLAIN_INT: Final = 2**1024
"""From here on integers are written in base 16: JSON readers limit decimal ones."""


_Writer = Callable[["_Encoder", Any, "At"], dict[str, Json]]


class At(NamedTuple):
    """Where in the saved object we are, for error messages and the depth limit."""

    parent: At | None
    step: str
    depth: int

    def down(self, step: str) -> At:
        """Return the place one step further in."""
        return At(self, step, self.depth + 1)

    def __str__(self) -> str:
        steps: list[str] = []
        place: At | None = self
        while place is not None:
            steps.append(place.step)
            place = place.parent
        return "".join(reversed(steps))


def encode(value: object) -> tuple[Json, dict[str, str]]:
    """Return ``value`` as JSON, and the registered types in it with their modules.

    Raises:
        InputTypeError: Something in it cannot be saved; the message says where it is.
        InputValueError: It nests too deep, or a tuple or registered object holds
            itself.
    """
    root = At(None, "state", 0)
    scout = _Encoder({}, {})
    result = scout.node(value, root)
    if not scout.repeated:
        return result, scout.types
    labels = {ident: number for number, ident in enumerate(scout.repeated, start=1)}
    writer = _Encoder(labels, scout.states)
    return writer.node(value, root), writer.types


def fragment(value: object) -> Fragment:
    """Encode a part of what is saved often, once; loading gives the part back.

    Raises:
        InputTypeError: It cannot be saved.
        InputValueError: It holds a registered type, or one object twice.
    """
    scout = _Encoder({}, {})
    result = scout.node(value, At(None, "fragment", 0))
    if scout.repeated or scout.types:
        raise InputValueError("a fragment holds plain values, each object once.")
    return compact(result)


class _Encoder:
    """One walk over an object. The first finds what repeats, the second labels it."""

    def __init__(self, labels: dict[int, int], states: dict[int, Any]) -> None:
        self._labels = labels
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._lenient = False
        self.states = states
        self.repeated: dict[int, None] = {}
        self.types: dict[str, str] = {}

    def node(self, value: Any, at: At) -> Json:
        """Return one value as JSON."""
        if type(value) is Fragment:
            return value
        if value is None or isinstance(value, (str, int, float)):
            return scalar(value)
        if isinstance(value, (*_FUNCTIONS, SavedFunction)):
            return {TYPE: "function", "path": import_path(value)}
        if value == () and isinstance(value, tuple):
            return {TYPE: "tuple", "items": []}  # Python shares it; that means nothing
        if type(value) not in _WRITERS and not _is_registered(value):
            return self._refuse(value, at)
        return self._shareable(value, at)

    def _shareable(self, value: Any, at: At) -> Json:
        if id(value) in self._seen:
            return self._reference(value, at)
        if at.depth >= MAX_DEPTH:
            return self._too_deep(at)
        self._seen.add(id(value))
        self._open.add(id(value))
        write: _Writer = _WRITERS.get(type(value), _registered)
        written = write(self, value, at)
        self._open.discard(id(value))
        return self._labelled(written, value)

    def _reference(self, value: Any, at: At) -> Json:
        whole = _is_registered(value) or isinstance(value, tuple)
        if whole and id(value) in self._open:
            raise InputValueError(
                f"cannot save {at}: this {type(value).__name__} contains itself."
            )
        self.repeated[id(value)] = None
        return {TYPE: "ref", "id": self._labels.get(id(value), 0)}

    def _labelled(self, written: dict[str, Json], value: Any) -> Json:
        label = self._labels.get(id(value))
        if label is not None:
            return {TYPE: written.pop(TYPE), "id": label, **written}
        if written[TYPE] == "list":
            return written["items"]
        if written[TYPE] == "dict" and TYPE not in written.get("items", (TYPE,)):
            return written["items"]
        return written

    def items(self, value: Any, at: At) -> list[Json]:
        """Return the items of a list or tuple."""
        return [self.node(item, at.down(f"[{i}]")) for i, item in enumerate(value)]

    def mapping(self, value: Mapping[Any, Any], at: At) -> dict[str, Json]:
        """Return the entries of a dict: ``items`` if all keys are text."""
        if all(type(key) is str for key in value):
            entries = value.items()
            return {"items": {k: self.node(v, at.down(f"[{k!r}]")) for k, v in entries}}
        return {"pairs": [self._pair(k, v, at) for k, v in value.items()]}

    def _pair(self, key: Any, value: Any, at: At) -> list[Json]:
        name = f"[{shorten(repr(key))}]"
        return [
            self.node(key, at.down(f"{name} (key)")),
            self.node(value, at.down(name)),
        ]

    @contextmanager
    def lenient(self) -> Iterator[None]:
        """Write the type's name instead of what cannot be saved."""
        before, self._lenient = self._lenient, True
        try:
            yield
        finally:
            self._lenient = before

    def _refuse(self, value: Any, at: At) -> Json:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if self._lenient:
            if isinstance(value, Mapping):
                plain = self.states.setdefault(id(value), dict(value))  # keeps its id
                return self.node(plain, at)
            return f"<{name}>"
        hint = "save its state_dict() or plain values instead"
        for kind in (dict, list, tuple):
            if isinstance(value, kind):
                hint = f"convert it with {kind.__name__}(...)"
        raise InputTypeError(
            f"cannot save {at}: a {name} is not among the types that files hold; "
            f"{hint}, or register the type with afnio.serialization.register_type."
        )

    def _too_deep(self, at: At) -> Json:
        if self._lenient:
            return "<nested too deep>"
        raise InputValueError(
            f"cannot save the state: it nests deeper than {MAX_DEPTH} levels, at "
            f"{shorten(at)}."
        )


def scalar(value: str | float | None) -> Json:
    """Return text or a number as JSON; subclasses are written as the plain value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, int):
        number = int(value)
        plain = -_PLAIN_INT < number < _PLAIN_INT
        return number if plain else {TYPE: "int", "hex": hex(number)}
    real = float(value)
    return real if math.isfinite(real) else {TYPE: "float", "value": repr(real)}


def import_path(value: Any) -> str:
    """Return the module and qualified name of a function or class."""
    if isinstance(value, SavedFunction):
        return value.path
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{getattr(value, '__module__', None) or 'builtins'}.{name}"


def _list(encoder: _Encoder, value: list[Any], at: At) -> dict[str, Json]:
    return {TYPE: "list", "items": encoder.items(value, at)}


def _tuple(encoder: _Encoder, value: tuple[Any, ...], at: At) -> dict[str, Json]:
    return {TYPE: "tuple", "items": encoder.items(value, at)}


def _dict(encoder: _Encoder, value: dict[Any, Any], at: At) -> dict[str, Json]:
    return {TYPE: "dict", **encoder.mapping(value, at)}


def _ordered_dict(
    encoder: _Encoder, value: OrderedDict[Any, Any], at: At
) -> dict[str, Json]:
    written = {TYPE: "OrderedDict", **encoder.mapping(value, at)}
    if hasattr(value, "_metadata"):
        written["metadata"] = encoder.node(value._metadata, at.down("._metadata"))
    return written


def _variable(encoder: _Encoder, value: Variable, at: At) -> dict[str, Json]:
    """Write a Variable; one that is not a leaf is written as `detach` returns it."""
    written = {
        TYPE: "Variable",
        "data": _data(value.data),
        "role": encoder.node(value.role, at.down(".role")),
        "requires_grad": bool(value.requires_grad) and value.is_leaf,
    }
    grad = value.grad if value.is_leaf or value._retain_grad else ()
    if grad:
        written["grad"] = encoder.items(grad, at.down(".grad"))
    with encoder.lenient():
        records = [record for record in value.evidence if _is_registered(record)]
        if records:
            written["evidence"] = encoder.items(records, at.down(".evidence"))
    return written


def _registered(encoder: _Encoder, value: Any, at: At) -> dict[str, Json]:
    entry = REGISTRY.of_class(type(value))
    assert entry is not None
    encoder.types[entry.tag] = entry.module
    if id(value) not in encoder.states:
        encoder.states[id(value)] = entry.to_state(value)
    state = encoder.states[id(value)]
    return {TYPE: entry.tag, "state": encoder.node(state, at.down(""))}


def _is_registered(value: object) -> bool:
    return REGISTRY.of_class(type(value)) is not None


def _data(data: Any) -> Json:
    return [_data(item) for item in data] if isinstance(data, list) else scalar(data)


_WRITERS: Final[dict[type, _Writer]] = {
    OrderedDict: _ordered_dict,
    Variable: _variable,
    dict: _dict,
    list: _list,
    tuple: _tuple,
}
