"""What the operations on text and numbers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from afnio._text import describe, shorten
from afnio._variable import Pending, Variable
from afnio.autodiff._merge import Feedback, body_of, how_of, join_samples
from afnio.autodiff._relay import connect
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


def elementwise(
    op: str, fn: Callable[..., Any], columns: Sequence[Any], *, spread: bool = False
) -> Any:
    """Apply ``fn`` to scalars, or position by position to lists of equal length.

    A missing sample (None) in a list gives None; a scalar None is refused.

    Args:
        op: What to call the operation in an error.
        fn: Takes one value per column.
        columns: Scalars or lists.
        spread: Whether a scalar next to lists is meant for every position.

    Raises:
        InputValueError: Scalars and lists mixed, or lists of different lengths.
        InputTypeError: A scalar is None.
    """
    if any(column is None for column in columns):
        raise InputTypeError(f"{op} got None; expected text or numbers.")
    return _by_position(op, fn, columns, spread)


def _by_position(
    op: str, fn: Callable[..., Any], columns: Sequence[Any], spread: bool
) -> Any:
    if any(column is None for column in columns):
        return None
    sizes = {len(column) for column in columns if isinstance(column, list)}
    if not sizes:
        return fn(*columns)
    if not spread and not all(isinstance(column, list) for column in columns):
        raise InputValueError(
            f"{op} cannot mix scalars and lists: got "
            f"{', '.join(describe(column) for column in columns)}."
        )
    if len(sizes) > 1:
        raise InputValueError(
            f"{op} needs lists of equal length: got "
            f"{', '.join(describe(column) for column in columns)}."
        )
    (size,) = sizes
    lists = [c if isinstance(c, list) else [c] * size for c in columns]
    return [_by_position(op, fn, row, spread) for row in zip(*lists, strict=True)]


def fit(gradient: Variable, batched: bool) -> Variable:
    """Give feedback the shape of its target: one text unless that is a batch."""
    if batched or not isinstance(gradient.data, list):
        return gradient
    body = join_samples(body_of(gradient))
    result = Feedback(body, gradient.role, body, how_of(gradient))
    result._evidence = gradient.evidence
    return connect(result, (gradient,))
