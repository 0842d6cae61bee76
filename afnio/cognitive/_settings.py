"""Checks of what parameters are told when they are made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from afnio._data import Data
from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError


def sentences(constraints: Iterable[str]) -> tuple[str, ...]:
    """Return constraints that have been checked."""
    if isinstance(constraints, str):
        raise InputTypeError("constraints takes several texts; put the one in a list.")
    found = tuple(constraints)
    for item in found:
        if not isinstance(item, str):
            raise InputTypeError(
                f"constraints must be texts, got {type(item).__name__}: "
                f"{shorten(item)}."
            )
    return found


def limit(name: str, value: int | None) -> int | None:
    """Return a limit that has been checked."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputValueError(f"{name} must be a positive int or None, got {value!r}.")
    return value


def field_names(fields: Sequence[str]) -> tuple[str, ...]:
    """Return names of placeholders that have been checked."""
    names = () if isinstance(fields, str) else tuple(fields)
    if not names or len(set(names)) < len(names):
        raise InputValueError(
            "fields must be different placeholder names in a list or tuple, got "
            f"{fields!r}."
        )
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise InputValueError(f"fields: {name!r} cannot be a placeholder's name.")
    return names


def spans(frozen: Iterable[str | Sequence[str]], data: Data) -> tuple[str, ...]:
    """Return the parts of ``data`` that rewrites must keep.

    Args:
        frozen: Texts that occur in it, and pairs of markers: everything from the first
            to the second, with both, is kept, wherever they occur.
        data: The text they are in.

    Raises:
        InputTypeError: They are neither texts nor pairs of texts.
        InputValueError: One is empty or does not occur.
    """
    if isinstance(frozen, str):
        raise InputTypeError("frozen takes several texts; put the one in a list.")
    found: dict[str, None] = {}
    for item in frozen:
        parts: list[Any] = list(item) if isinstance(item, (list, tuple)) else [item]
        if len(parts) not in (1, 2) or not all(
            isinstance(part, str) and part for part in parts
        ):
            raise InputTypeError(
                "frozen takes texts and pairs of markers, none of them empty; got "
                f"{shorten(item)}."
            )
        between = ".*?".join(re.escape(part) for part in parts)
        here = re.findall(between, data, re.DOTALL) if isinstance(data, str) else []
        if not here:
            raise InputValueError(
                f"frozen: {shorten(item)!r} does not occur in the text."
            )
        found.update(dict.fromkeys(here))
    return tuple(found)
