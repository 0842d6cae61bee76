"""From JSON to values: the reading half. It runs nothing that a file names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from afnio._state.format import MAX_DEPTH, REGISTRY, TYPE, SavedFunction, check_size
from afnio._text import closest, shorten
from afnio._variable import Variable
from afnio.errors import FileFormatError

Json = Any

_READABLE_DEPTH: Final = 3 * MAX_DEPTH
"""Every level of a value is written as at most three levels of JSON."""

_WRONG_STATE: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What code that expects other contents raises when it is given damaged ones."""


def decode(state: Json, modules: dict[str, Any]) -> Any:
    """Return the value that `afnio._state.encode.encode` has written.

    Args:
        state: Parsed JSON.
        modules: For each registered type in it, the module that registers it.

    Raises:
        FileFormatError: The contents are damaged, or a type in it is not registered.
    """
    try:
        return _Decoder(modules).value(state)
    except RecursionError as error:
        raise FileFormatError(
            f"the file is damaged: it nests deeper than {MAX_DEPTH} levels."
        ) from error


class _Decoder:
    """One walk over parsed JSON, remembering what has an id."""

    def __init__(self, modules: dict[str, Any]) -> None:
        self._modules = modules
        self._labelled: dict[int, Any] = {}
        self._depth = 0
        self._count = 0
        self._walked = 0

    def value(self, node: Json) -> Any:
        """Return the value of one node."""
        if not isinstance(node, (list, dict)):
            return node
        self._depth += 1
        self._count += len(node)
        if self._depth > _READABLE_DEPTH:
            raise FileFormatError(
                f"the file is damaged: it nests deeper than {MAX_DEPTH} levels."
            )
        result = self._inner(node)
        self._depth -= 1
        return result

    def _inner(self, node: list[Json] | dict[str, Json]) -> Any:
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if TYPE not in node:
            return {key: self.value(item) for key, item in node.items()}
        tag = node[TYPE]
        if not isinstance(tag, str):
            raise _damaged(f"{TYPE} must be text", tag)
        read = _READERS.get(tag)
        return self._registered(tag, node) if read is None else read(self, node)

    def _registered(self, tag: str, node: dict[str, Json]) -> Any:
        entry = REGISTRY.of_tag(tag)
        if entry is None:
            known = self._modules.get(tag)
            advice = (
                f"import {shorten(known)} before loading"
                if isinstance(known, str)
                else closest(tag, REGISTRY.tags())
            )
            raise FileFormatError(
                f"the file holds a {shorten(tag)!r}, and no type is registered under "
                f"that name: {advice}"
            )
        state = self.value(field(node, "state"))
        allowed = 10_000 + 10 * self._count
        self._walked += check_size(state, allowed - self._walked)
        try:
            result = entry.from_state(state)
        except _WRONG_STATE as error:
            raise FileFormatError(
                f"the file is damaged: the contents of a {tag} do not fit: "
                f"{shorten(error)}"
            ) from error
        return self.label(node, result)

    def label(self, node: dict[str, Json], result: Any) -> Any:
        """Remember a value that is referred to later."""
        if "id" in node:
            self._labelled[field(node, "id", int)] = result
        return result

    def reference(self, node: dict[str, Json]) -> Any:
        """Return the value that came before under the same id."""
        number = field(node, "id", int)
        if number not in self._labelled:
            raise _damaged("no earlier value has the id", number)
        return self._labelled[number]

    def fill(self, target: dict[Any, Any], node: dict[str, Json]) -> None:
        """Read the entries of a dict into ``target``."""
        if "items" in node:
            for key, item in field(node, "items", dict).items():
                target[key] = self.value(item)
            return
        for pair in field(node, "pairs", list):
            if not isinstance(pair, list) or len(pair) != len(("key", "value")):
                raise _damaged("an entry must be a list of key and value", pair)
            key = self.value(pair[0])
            check_size(key)
            try:
                target[key] = None
            except TypeError as error:
                raise _damaged("a dict key cannot be", type(key).__name__) from error
            target[key] = self.value(pair[1])


def field(node: dict[str, Json], name: str, kind: type = object) -> Any:
    """Return one part of a node.

    Raises:
        FileFormatError: It is missing or of another kind.
    """
    if name not in node or not isinstance(node[name], kind):
        got = type(node[name]).__name__ if name in node else "nothing"
        raise _damaged(
            f"{name!r} of a {shorten(node.get(TYPE, 'header'))} must be "
            f"{'given' if kind is object else kind.__name__}, got",
            got,
        )
    return node[name]


def _damaged(what: str, got: object) -> FileFormatError:
    return FileFormatError(f"the file is damaged: {what} {shorten(got)}.")


def _list(decoder: _Decoder, node: dict[str, Json]) -> list[Any]:
    result: list[Any] = decoder.label(node, [])
    for item in field(node, "items", list):
        result.append(decoder.value(item))  # noqa: PERF401 - an item may be the list
    return result


def _tuple(decoder: _Decoder, node: dict[str, Json]) -> Any:
    items = tuple(decoder.value(item) for item in field(node, "items", list))
    return decoder.label(node, items)


def _dict(decoder: _Decoder, node: dict[str, Json]) -> dict[Any, Any]:
    result: dict[Any, Any] = decoder.label(node, {})
    decoder.fill(result, node)
    return result


def _ordered_dict(decoder: _Decoder, node: dict[str, Json]) -> OrderedDict[Any, Any]:
    result: OrderedDict[Any, Any] = decoder.label(node, OrderedDict())
    decoder.fill(result, node)
    if "metadata" in node:
        result._metadata = decoder.value(node["metadata"])  # type: ignore[attr-defined]
    return result


def _variable(decoder: _Decoder, node: dict[str, Json]) -> Variable:
    data = _data(decoder, field(node, "data"))
    result = Variable(None, requires_grad=field(node, "requires_grad", bool))
    decoder.label(node, result)
    result.role = decoder.value(field(node, "role"))
    try:
        result._value = Variable(data).data
        if "grad" in node:
            result.grad = [decoder.value(item) for item in field(node, "grad", list)]
    except TypeError as error:
        raise _damaged("a Variable cannot hold what is there:", error) from error
    if "evidence" in node:
        records = field(node, "evidence", list)
        result.evidence = tuple(decoder.value(record) for record in records)
    return result


def _data(decoder: _Decoder, data: Json) -> Any:
    """Read a Variable's data: lists and scalars, never shared."""
    if isinstance(data, list):
        return [_data(decoder, item) for item in data]
    if isinstance(data, dict) and data.get(TYPE) not in ("float", "int"):
        raise _damaged("a Variable cannot hold", data)
    return decoder.value(data)


def _float(decoder: _Decoder, node: dict[str, Json]) -> float:
    del decoder
    value = field(node, "value", str)
    if value not in ("nan", "inf", "-inf"):
        raise _damaged("a float with a type must be nan, inf or -inf, got", value)
    return float(value)


def _int(decoder: _Decoder, node: dict[str, Json]) -> int:
    del decoder
    text = field(node, "hex", str)
    try:
        return int(text, 16)
    except ValueError as error:
        raise _damaged("not a number in base 16:", text) from error


def _function(decoder: _Decoder, node: dict[str, Json]) -> SavedFunction:
    del decoder
    return SavedFunction(field(node, "path", str))


_READERS: Final[dict[str, Callable[[_Decoder, dict[str, Json]], Any]]] = {
    "OrderedDict": _ordered_dict,
    "Variable": _variable,
    "dict": _dict,
    "float": _float,
    "function": _function,
    "int": _int,
    "list": _list,
    "ref": _Decoder.reference,
    "tuple": _tuple,
}
