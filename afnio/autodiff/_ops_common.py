"""What the operations on text and numbers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from afnio._text import describe, shorten
from afnio._variable import Pending, Variable
from afnio.errors import InputTypeError, InputValueError


def require_variables(op: str, values: Sequence[Any]) -> None:
    """Raise unless every value is a Variable."""
    for position, value in enumerate(values):
        if not isinstance(value, Variable):
            raise InputTypeError(
                f"{op} takes Variables; argument {position} is a "
                f"{type(value).__name__}: {shorten(value)}."
            )


def known(variables: Sequence[Variable]) -> list[Any] | None:
    """Return the data of all, or None when one of them is pending."""
    if any(type(variable._value) is Pending for variable in variables):
        if not all(variable.is_ready() for variable in variables):
            return None
        if any(_failed(variable) for variable in variables):
            return None
    return [variable.data for variable in variables]


def _failed(variable: Variable) -> bool:
    value = variable._value
    return type(value) is Pending and value.job.error() is not None


def elementwise(op: str, fn: Callable[..., Any], columns: Sequence[Any]) -> Any:
    """Apply ``fn`` to scalars, or position by position to lists of equal length.

    A missing sample (None) in a list gives None; a scalar None is refused.

    Raises:
        InputValueError: Scalars and lists mixed, or lists of different lengths.
        InputTypeError: A scalar is None.
    """
    if not any(isinstance(column, list) for column in columns):
        if any(column is None for column in columns):
            raise InputTypeError(f"{op} got None; expected text or numbers.")
        return fn(*columns)
    return _by_position(op, fn, columns)


def _by_position(op: str, fn: Callable[..., Any], columns: Sequence[Any]) -> Any:
    if not all(isinstance(column, list) for column in columns):
        raise InputValueError(
            f"{op} cannot mix scalars and lists: got "
            f"{', '.join(describe(column) for column in columns)}."
        )
    if len({len(column) for column in columns}) > 1:
        raise InputValueError(
            f"{op} needs lists of equal length: got "
            f"{', '.join(describe(column) for column in columns)}."
        )
    result: list[Any] = []
    for row in zip(*columns, strict=True):
        if any(isinstance(item, list) for item in row):
            result.append(_by_position(op, fn, row))
        else:
            result.append(None if None in row else fn(*row))
    return result
