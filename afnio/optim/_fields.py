"""Whether what was read back has the kinds of values that a dataclass declares."""

from __future__ import annotations

import functools
import types
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from afnio._text import describe, shorten
from afnio.errors import InputValueError

T = TypeVar("T")


def checked(value: T, name: str) -> T:
    """Return a dataclass instance whose fields are what they are declared to be.

    Args:
        value: The instance.
        name: What it is called in the error.

    Raises:
        InputValueError: A field is of another kind; the message has its path.
    """
    for problem in _problems(value, name):
        raise InputValueError(f"{problem}. It was edited, or another program wrote it.")
    return value


def _problems(value: Any, path: str) -> list[str]:
    return [
        problem
        for name, kind in _kinds(cast("Hashable", type(value))).items()
        for problem in _wrong(getattr(value, name), kind, f"{path}.{name}")
    ]


@functools.cache
def _kinds(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(kind)}


def _wrong(value: Any, kind: Any, path: str) -> list[str]:
    """Return what is wrong with a value, an empty list if nothing is."""
    args = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        tries = [_wrong(value, each, path) for each in args]
        return min(tries, key=lambda found: (len(found), found))
    parts = _parts(value, kind, path)
    if parts is not None:
        return [p for each in parts for p in _wrong(*each)]
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, kind):
        return _problems(value, path)
    fits = kind is Any or _fits(value, kind)
    return [] if fits else [f"{path} is {_shown(value)}, expected {_words(kind)}"]


def _parts(value: Any, kind: Any, path: str) -> list[tuple[Any, Any, str]] | None:
    """Return the parts of a container, with their kinds and paths; None if it is none.

    Lists and dicts of the wrong size or kind are none, either.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, tuple):
        kinds = args[:1] * len(value) if args[-1] is ... else args
        if len(kinds) == len(value):
            pairs = enumerate(zip(value, kinds, strict=True))
            return [(item, each, f"{path}[{n}]") for n, (item, each) in pairs]
    is_mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    if is_mapping and isinstance(value, Mapping):
        keys = [(key, args[0], f"a key of {path}") for key in value]
        return [*keys, *((item, args[1], path) for item in value.values())]
    return None


def _fits(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, (int, float))
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind)


def alike(found: Any, like: Any, path: str) -> None:
    """Raise unless plain data is of the same kinds as other plain data of its sort.

    What only one of the two has is left alone, and so is what either has as None.

    Raises:
        InputValueError: Naming the first difference.
    """
    if found is None or like is None:
        return
    if isinstance(found, Mapping) and isinstance(like, Mapping):
        for name in like.keys() & found.keys():
            alike(found[name], like[name], f"{path}.{name}")
        return
    kinds = (bool, int, float, str, list, tuple, Mapping)
    kind = next((each for each in kinds if isinstance(like, each)), None)
    kind = list if kind is tuple else kind
    found = list(found) if isinstance(found, tuple) else found
    if kind is not None and not _fits(found, kind):
        raise InputValueError(f"{path} is {_shown(found)}, expected {_words(kind)}.")


def _words(kind: Any) -> str:
    named = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
    }
    return named.get(kind) or str(getattr(kind, "__name__", kind))


def _shown(value: Any) -> str:
    is_short = value is None or isinstance(value, (bool, int, float, str))
    return shorten(repr(value)) if is_short else describe(value)
