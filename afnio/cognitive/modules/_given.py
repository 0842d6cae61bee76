"""Arguments that were not given, where None means something."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from afnio._variable import Variable
from afnio.errors import InputTypeError


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


def required(owner: object, name: str, value: Any) -> Any:
    """Return what a call or its module has been given.

    Raises:
        InputTypeError: Neither has any.
    """
    if value is None:
        raise InputTypeError(
            f"{type(owner).__name__} has no {name}; pass it when you make the module "
            "or when you call it."
        )
    return value


def as_buffer(value: Any, role: str) -> Variable | None:
    """Return a setting as a Variable that a module can register; None stays None."""
    if value is None or isinstance(value, Variable):
        return value
    return Variable(value, role)
