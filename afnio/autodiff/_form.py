"""The form of a call: which argument falls to which parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from itertools import islice
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of a function, read once.

    `inspect.Signature.bind` reads them anew for each call, and takes as long for that
    as an operation on ready values does altogether.
    """

    signature: inspect.Signature
    named: dict[str, Any]
    """Parameters that may be given by position or by name, and their defaults."""
    takes_further: bool
    """Whether there is a ``**kwargs``."""
    is_simple: bool
    """Whether there are no other parameters."""

    @classmethod
    def of(cls, fn: Callable[..., Any], skipped: int = 0) -> Self:
        """Read the parameters of ``fn``, but for so many of the first."""
        signature = inspect.signature(fn)
        params = list(signature.parameters.values())[skipped:]
        either = [p for p in params if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
        further = any(p.kind is Parameter.VAR_KEYWORD for p in params)
        return cls(
            signature.replace(parameters=params),
            {param.name: param.default for param in either},
            takes_further=further,
            is_simple=len(params) == len(either) + further,
        )

    def bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return all that can be given by position so, defaults too, and the rest.

        Raises:
            TypeError: The arguments do not fit, in Python's words.
        """
        left = dict(kwargs)
        unfilled = islice(self.named.items(), len(args), None)
        values = [*args, *(left.pop(name, default) for name, default in unfilled)]
        is_odd = left and not (
            self.takes_further and left.keys().isdisjoint(self.named)
        )
        if (
            is_odd
            or not self.is_simple
            or len(args) > len(self.named)
            or any(value is Parameter.empty for value in values)
        ):
            bound = self.signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return bound.args, bound.kwargs
        return tuple(values), left
