"""What is known about the present values from earlier steps."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from afnio._variable import Variable
from afnio.optim._trials import Trial


class KnownTrials:
    """Evaluations of the present values, while nothing they depend on changes.

    They are only kept for a closure that has an attribute ``parameters``: all Variables
    that its result depends on, or a function that returns them. Their data, and that of
    the optimizer's own parameters, must be what it was. Checkpoints leave them out.
    """

    def __init__(self) -> None:
        self._closure: Any = None
        self._data: list[Any] = []
        self._parts: dict[int, Trial] = {}

    def recall(self, closure: Any, params: Iterable[Variable]) -> dict[int, Trial]:
        """Return the evaluations, by block, that are still true."""
        if self._closure is None or self._closure() is not closure:
            return {}
        return dict(self._parts) if self._data == _data(closure, params) else {}

    def store(
        self, closure: Any, params: Iterable[Variable], parts: Mapping[int, Trial]
    ) -> None:
        """Keep evaluations of the values that the parameters have now."""
        if getattr(closure, "parameters", None) is not None:
            try:
                self._closure = weakref.ref(closure)
            except TypeError:  # a class with slots: it could not be told from another
                return
            self._data, self._parts = _data(closure, params), dict(parts)


def _data(closure: Any, params: Iterable[Variable]) -> list[Any]:
    named = closure.parameters
    others = named() if callable(named) else named
    return [copy.deepcopy(each.data) for each in (*params, *others)]
