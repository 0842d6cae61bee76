"""How evaluator modules configure what becomes of a batch's scores."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, TypeAlias

from afnio._variable import Variable
from afnio.cognitive.modules._given import NOT_GIVEN, NotGiven, as_buffer
from afnio.cognitive.modules.module import Module

Reduce: TypeAlias = Callable[[list[Any]], Any]
"""Makes one score of a batch's."""

Words: TypeAlias = str | Variable
"""A setting in words, which may belong to the state."""


class Reducing(Module):
    """A module with a reduction: the sum, unless something else is configured.

    The default is no part of the state; only what was given is.
    """

    _default_functions = {"reduction_fn": "builtins.sum"}  # noqa: RUF012 - never changed

    reduction_fn: Reduce | None
    reduction_fn_purpose: Variable | None

    def _register_reduction(
        self, fn: Reduce | NotGiven | None, purpose: Words | NotGiven | None
    ) -> None:
        self._sums_up = fn is NOT_GIVEN
        given = None if fn is NOT_GIVEN else fn
        self.register_function("reduction_fn", given)
        words = None if purpose is NOT_GIVEN else as_buffer(purpose, "purpose")
        self.register_buffer("reduction_fn_purpose", words)

    def _reduction(
        self, fn: Reduce | NotGiven | None, purpose: Words | NotGiven | None
    ) -> tuple[Reduce | None, Words | None]:
        """Return the function and its purpose: a call's, the module's, or the sum."""
        if fn is NOT_GIVEN:
            default = builtins.sum if self._sums_up else None
            fn = self.reduction_fn or default
        if purpose is NOT_GIVEN:
            purpose = self.reduction_fn_purpose or _purpose_of(fn)
        return fn, purpose


def _purpose_of(fn: Reduce | None) -> str | None:
    """Return what a reduction computes, as far as its name tells."""
    if fn is None:
        return None
    return "summation" if fn is builtins.sum else getattr(fn, "__name__", "reduction")
