"""Versions of a parameter: what it held before, each value once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio._data import Data, copy_data, normalize
from afnio._text import describe, shorten
from afnio.errors import InputTypeError, InputValueError

LIMIT: Final = 20
"""Earlier values that a parameter remembers; older ones are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A value that a parameter had, and how it came about."""

    value: Data
    """Treat it as read-only; `Parameter.rollback` installs a copy."""
    note: str = ""
    """Why it was installed, if that was said."""
    step: int | None = None
    """The step that installed it, if that was said."""


def succeed(
    history: Sequence[Version], current: Version, new: Data
) -> tuple[tuple[Version, ...], Version]:
    """Return the history and the current version after ``new`` is installed.

    A value from the history is a return to it: what came after it is forgotten. So a
    value that is tried and taken back leaves no trace.
    """
    if current.value == new:
        return tuple(history), current
    for index, version in enumerate(history):
        if version.value == new:
            return tuple(history[:index]), version
    kept = tuple(history) if current.value is None else (*history, current)
    return kept[-LIMIT:], Version(value=copy_data(new))


def checked_note(note: object, step: object) -> None:
    """Raise unless these can say how a value came about.

    Raises:
        InputTypeError: ``note`` is no text, or ``step`` no int.
    """
    if not isinstance(note, str):
        raise InputTypeError(f"note must be a str, got {type(note).__name__}.")
    if step is not None and (not isinstance(step, int) or isinstance(step, bool)):
        raise InputTypeError(f"step must be an int or None, got {shorten(step)}.")


def to_rows(history: Sequence[Version], current: Version) -> list[list[Any]]:
    """Return all versions as plain values, the current one last, without its value."""
    rows = [[version.value, version.note, version.step] for version in history]
    return [*rows, [None, current.note, current.step]]


def from_rows(rows: object, value: Data) -> tuple[tuple[Version, ...], Version]:
    """Return what `to_rows` was given; the rows are data that nobody trusts.

    Raises:
        InputTypeError: They are of the wrong form.
        InputValueError: There are too many.
    """
    if not isinstance(rows, list) or not rows:
        raise InputTypeError(f"the history must be a list, got {describe(rows)}.")
    if len(rows) > LIMIT + 1:
        raise InputValueError(f"the history has {len(rows)} rows, over {LIMIT + 1}.")
    found = [_from_row(row) for row in rows]
    last = found.pop()
    return tuple(found), Version(value=value, note=last.note, step=last.step)


def _from_row(row: object) -> Version:
    if not isinstance(row, list) or len(row) != 3:  # noqa: PLR2004 - its fields
        raise InputTypeError(f"a version must be a list of 3, got {describe(row)}.")
    value, note, step = row
    checked_note(note, step)
    return Version(value=normalize(value), note=note, step=step)
