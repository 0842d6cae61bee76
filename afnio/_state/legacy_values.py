"""From the inert nodes of a documented pickle to values that afnio knows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final

from afnio._state.format import MAX_DEPTH, REGISTRY, SavedFunction, check_size
from afnio._state.legacy import Global, Node, class_of, parse
from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import FileFormatError

_ATTRIBUTES: Final = frozenset({"data", "grad", "requires_grad", "role"})


def read_pickle(payload: bytes) -> Any:
    """Return the values in a pickle of the documented system.

    Raises:
        FileFormatError: It is damaged, or needs more than inert values.
    """
    try:
        return _Copier(10_000 + 10 * len(payload)).copy(parse(payload), 0)
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"the pickle is damaged and was not read: {shorten(error)}"
        ) from error


class _Copier:
    """Copies nodes; what is shared stays shared.

    Args:
        allowed: How many parts may be visited where sharing is written out.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._copies: dict[int, Any] = {}
        self._open: set[int] = set()

    def copy(self, node: Any, depth: int) -> Any:
        """Return the value of a node."""
        if isinstance(node, Global):
            return SavedFunction(node.path)
        if not isinstance(node, Node):
            return node
        if id(node) not in self._copies:
            if depth > MAX_DEPTH or id(node) in self._open:
                raise FileFormatError(
                    f"refused to read the pickle: it nests deeper than {MAX_DEPTH} "
                    "levels, or holds itself."
                )
            self._open.add(id(node))
            make = _COPIES[class_of(node.kind) or node.kind]
            self._copies[id(node)] = make(self, node, depth + 1)
            self._open.discard(id(node))
        return self._copies[id(node)]

    def items(self, node: Node, depth: int) -> Iterator[Any]:
        """Yield the values of a list, tuple or set."""
        return (self.copy(item, depth) for item in node.items)

    def pairs(self, node: Node, depth: int) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and values of a dict."""
        for key, item in node.pairs:
            yield self.key(key, depth), self.copy(item, depth)

    def key(self, node: Any, depth: int) -> Any:
        """Return a value that can be hashed without harm."""
        key = self.copy(node, depth)
        check_size(key)
        return key

    def spend(self, value: Any) -> None:
        """Refuse to walk over more parts than the pickle has bytes for."""
        self._allowed -= check_size(value, self._allowed)

    def attributes(self, node: Node, depth: int) -> dict[str, Any]:
        """Return what we need of an object's attributes, underscores taken off."""
        parts = node.state.items if _is(node.state, "tuple") else [node.state]
        pairs = [pair for part in parts if _is(part, "dict") for pair in part.pairs]
        self.spend(pairs)
        return {
            name.lstrip("_"): self.copy(item, depth)
            for name, item in pairs
            if isinstance(name, str) and name.lstrip("_") in _ATTRIBUTES
        }


def _is(node: Any, kind: str) -> bool:
    return isinstance(node, Node) and node.kind == kind


def _set(copier: _Copier, node: Node, depth: int) -> set[Any]:
    """Read a set's items, or the list that the class was called with."""
    inner = node.items
    if node.kind != "set":
        inner = [item for part in inner if _is(part, "list") for item in part.items]
    copier.spend(inner)
    return {copier.key(item, depth) for item in inner}


def _ordered_dict(copier: _Copier, node: Node, depth: int) -> OrderedDict[Any, Any]:
    result = OrderedDict(copier.pairs(node, depth))
    if _is(node.state, "dict"):
        copier.spend(node.state.pairs)
        for name, item in node.state.pairs:
            if name == "_metadata":
                result._metadata = copier.copy(item, depth)  # type: ignore[attr-defined]
    return result


def _variable(copier: _Copier, node: Node, depth: int) -> Variable:
    found = copier.attributes(node, depth)
    copier.spend(found.get("data"))
    entry = REGISTRY.of_tag("Parameter") if class_of(node.kind) == "Parameter" else None
    cls: Any = Variable if entry is None else entry.cls
    flag = bool(found.get("requires_grad", False))
    result: Variable = cls(found.get("data"), found.get("role", ""), flag)
    result.grad = found.get("grad") or []
    return result


_COPIES: Final[dict[str, Callable[[_Copier, Node, int], Any]]] = {
    "OrderedDict": _ordered_dict,
    "Parameter": _variable,
    "Variable": _variable,
    "defaultdict": lambda copier, node, depth: dict(copier.pairs(node, depth)),
    "dict": lambda copier, node, depth: dict(copier.pairs(node, depth)),
    "list": lambda copier, node, depth: list(copier.items(node, depth)),
    "set": _set,
    "tuple": lambda copier, node, depth: tuple(copier.items(node, depth)),
}
"""How each kind is copied; a defaultdict loses its factory."""
