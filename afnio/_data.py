"""What a Variable may hold: ``None``, text, numbers, and nested lists of them."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias, cast

from afnio._text import shorten
from afnio.errors import InputTypeError

Data: TypeAlias = Any
"""``None | str | int | float | list[Data]``; a list is a batch."""


class _Jagged:
    """The size of a level whose lists differ in length."""

    def __repr__(self) -> str:
        return "j"

    def __reduce__(self) -> str:
        return "JAGGED"


JAGGED: Final = _Jagged()
"""The size in a shape where the lists of a level differ in length."""


_PLAIN: Final = (str, float, bool, int)


def _is_value(data: Any) -> bool:
    return type(data) in _PLAIN or (
        isinstance(data, _PLAIN) and not isinstance(data, Enum)
    )


def normalize(data: Data) -> Data:
    """Validate ``data`` and return our own copy of it, tuples turned into lists.

    Leaves that are not ``None`` must be all text or all numbers; ints and floats mixed
    anywhere become floats.

    Raises:
        InputTypeError: Any other object, or text and numbers mixed.
    """
    if data is None or _is_value(data):
        return data
    if not isinstance(data, (list, tuple)):
        raise InputTypeError(_refusal(data))
    kinds: set[type] = set()
    try:
        copy = _copy_list(data, kinds)
    except RecursionError:
        raise InputTypeError(
            "Variable data is nested too deeply, or a list holds itself."
        ) from None
    if str in kinds and len(kinds) > 1:
        raise InputTypeError(
            "Variable data mixes text and numbers: expected all leaves of a list to be "
            f"str, or all to be numbers, got {shorten(data)}."
        )
    return _as_floats(copy) if len(kinds) > 1 and float in kinds else copy


def _copy_list(data: list[Any] | tuple[Any, ...], kinds: set[type]) -> list[Any]:
    copy: list[Any] = []
    for item in data:
        if isinstance(item, (list, tuple)):
            copy.append(_copy_list(item, kinds))
            continue
        if item is not None:
            kinds.add(_kind(item))
        copy.append(item)
    return copy


def _kind(leaf: object) -> type:
    if type(leaf) in _PLAIN:
        return type(leaf)
    if _is_value(leaf):
        return next(kind for kind in _PLAIN if isinstance(leaf, kind))
    raise InputTypeError(_refusal(leaf))


def _refusal(data: object) -> str:
    return (
        "Variable data must be None, str, int, float, or a (nested) list of them; "
        f"got {type(data).__name__}: {shorten(data)}."
        + (" Give the member's .value." if isinstance(data, Enum) else "")
    )


def _as_floats(data: list[Any]) -> list[Any]:
    return [
        _as_floats(item)
        if isinstance(item, list)
        else (None if item is None else float(item))
        for item in data
    ]


def shape_of(data: Data) -> tuple[Any, ...]:
    """Return the sizes of nested lists; levels that differ have the size `JAGGED`."""
    if not isinstance(data, list):
        return ()
    inner = [shape_of(item) for item in data]
    if not inner or all(shape == inner[0] for shape in inner):
        return (len(data), *(inner[0] if inner else ()))
    return (len(data), *[JAGGED] * max(len(shape) for shape in inner))


def leaves(data: Data) -> list[Any]:
    """List the leaves of nested lists that are not ``None``."""
    if not isinstance(data, list):
        return [] if data is None else [data]
    return [leaf for item in data for leaf in leaves(item)]


def kind_of(data: Data) -> str | None:
    """Return ``"text"``, ``"number"``, or None when there is no leaf to tell by."""
    found = leaves(data)
    if not found:
        return None
    return "text" if isinstance(found[0], str) else "number"


def copy_data(data: Data) -> Data:
    """Return ``data`` with its lists copied."""
    if isinstance(data, list):
        return [copy_data(item) for item in data]
    return data


def is_all_float(data: Data) -> bool:
    """Whether there is a leaf, and all of them are floats."""
    found = leaves(data)
    return bool(found) and all(isinstance(leaf, float) for leaf in found)


def convert(data: Data, dtype: Any) -> Data:
    """Apply ``dtype`` to every leaf that is not ``None``."""
    if isinstance(data, list):
        return [convert(item, dtype) for item in data]
    return None if data is None else cast("Any", dtype(data))


def brief(data: Data) -> str:
    """Write data for `str`: long text and long lists shortened in the middle."""
    if isinstance(data, list):
        shown = [brief(item) for item in data]
        if len(shown) > 6:  # noqa: PLR2004 - documented
            shown = [*shown[:3], "...", *shown[-3:]]
        return f"[{', '.join(shown)}]"
    return brief_text(data)


def brief_text(value: object) -> str:
    """Write a text for `str`: its first and last 20 characters if over 40."""
    if isinstance(value, str) and len(value) > 40:  # noqa: PLR2004 - documented
        return f"{value[:20]}...{value[-20:]}"
    return str(value)
