"""Marking Functions as evaluators."""

from __future__ import annotations

from typing import TypeVar

from afnio.autodiff.function import Function
from afnio.errors import InputTypeError

C = TypeVar("C", bound=type[Function])


def evaluator(cls: C) -> C:
    """Mark a `Function` as an evaluator: backward may start at it without a gradient.

    Raises:
        InputTypeError: ``cls`` is not a subclass of Function.
    """
    if not isinstance(cls, type) or not issubclass(cls, Function):
        raise InputTypeError(
            "@evaluator decorates a subclass of afnio.autodiff.function.Function, got "
            f"{cls!r}."
        )
    cls._is_evaluator = True
    return cls
