"""Whether validation scores of earlier steps are still true."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from afnio._variable import Variable


class Scorebook:
    """Remembers what scores depended on, besides the optimizer's own parameters.

    Scores are kept only for a closure that has an attribute ``parameters``: all
    Variables that its result depends on, or a function that returns them. If the data
    of another one of these changes, or the closure is another one (told by its ``key``,
    or else by identity), earlier scores are void. After a checkpoint is loaded, a
    closure without ``key`` is taken for the one of before if it has as many blocks.
    """

    def __init__(self) -> None:
        self._print: str | None = None
        self._next: str | None = None
        self._closure: weakref.ref[Any] | None = None

    def is_true(self, closure: Any, own: Iterable[Variable]) -> bool:
        """Whether earlier scores hold for this closure, as things are now."""
        found = self._next = _fingerprint(closure, own)
        if found is None or found != self._print:
            return False
        return (
            self._closure is None
            or hasattr(closure, "key")
            or self._closure() is closure
        )

    def remember(self, closure: Any) -> None:
        """From now on, scores are of this closure, as it was when last asked about."""
        self._print = self._next
        try:
            self._closure = weakref.ref(closure)
        except TypeError:  # a class with slots: it cannot be told from another
            self._print = None

    def state_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"print": self._print}

    @classmethod
    def from_state(cls, saved: Mapping[str, Any]) -> Scorebook:
        """Return what `state_dict` wrote."""
        book = cls()
        book._print = saved["print"]
        return book


def _fingerprint(closure: Any, own: Iterable[Variable]) -> str | None:
    named = getattr(closure, "parameters", None)
    if named is None:
        return None
    mine = set(own)
    others = list(named() if callable(named) else named)
    facts = [
        getattr(closure, "blocks", 1),
        getattr(closure, "key", ""),
        [each.data for each in others if each not in mine],
    ]
    payload = json.dumps(facts, default=repr)
    return hashlib.sha256(payload.encode("utf-8", "replace")).hexdigest()[:16]
