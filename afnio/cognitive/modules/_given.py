"""Arguments that were not given, where None means something."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from afnio._variable import Variable


class NotGiven(Enum):
    """The type of `NOT_GIVEN`."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven.NOT_GIVEN
"""Stands for "as configured, or else the default"."""


def first_given(*values: Any) -> Any:
    """Return the first value that was given."""
    return next(value for value in values if value is not NOT_GIVEN)


def as_buffer(value: Any, role: str) -> Variable | None:
    """Return a setting as a Variable that a module can register; None stays None."""
    if value is None or isinstance(value, Variable):
        return value
    return Variable(value, role)
