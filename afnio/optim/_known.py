"""What is known about the present values from earlier steps."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from afnio._variable import Variable
from afnio.optim._scorebook import Scorebook
from afnio.optim._trials import Trial


class KnownTrials:
    """Evaluations of the present values, while nothing they depend on changes.

    When that is, `Scorebook` says; here the data of the optimizer's own parameters must
    be what it was, too. Checkpoints leave them out.
    """

    def __init__(self) -> None:
        self._book = Scorebook()
        self._data: list[Any] = []
        self._parts: dict[int, Trial] = {}

    def recall(self, closure: Any, params: Iterable[Variable]) -> dict[int, Trial]:
        """Return the evaluations, by block, that are still true."""
        params = list(params)
        true = self._book.is_true(closure, params)
        same = self._data == [param.data for param in params]
        return dict(self._parts) if true and same else {}

    def store(
        self, closure: Any, params: Iterable[Variable], parts: Mapping[int, Trial]
    ) -> None:
        """Keep evaluations of the values that the parameters have now."""
        params = list(params)
        self._book.is_true(closure, params)
        self._book.remember(closure)
        self._data = [copy.deepcopy(param.data) for param in params]
        self._parts = dict(parts)
