"""What the parameters in a run's decisions are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from afnio.tracking.report._timeline import Timeline
from afnio.tracking.report._values import count, items, mappings, text


class ParameterNames:
    """Names of parameters, by what a decision says of them.

    Decisions number an optimizer's parameters, and two optimizers may be of one class;
    then the role tells their parameters apart.
    """

    def __init__(self, found: Timeline) -> None:
        self._names: dict[tuple[str, int], list[str]] = defaultdict(list)
        self._roles: dict[str, str] = {}
        for at in found.parameters:
            for value in mappings(at.event.get("values")):
                name = text(value.get("name"), 200)
                self._roles.setdefault(name, text(value.get("role"), 500))
            for optimizer in mappings(at.event.get("optimizers")):
                kind = text(optimizer.get("name"), 200)
                for number, name in enumerate(items(optimizer.get("parameters"))):
                    self._names[kind, number].append(text(name, 200))

    def of(self, optimizer: str, change: Mapping[str, Any]) -> str:
        """Return what a changed parameter is called: its name, or else its role."""
        if given := text(change.get("name"), 200):
            return given
        role = text(change.get("role"), 500)
        known = self._names.get((optimizer, count(change.get("parameter"), -1)), [])
        same = [name for name in known if self._roles.get(name) == role]
        return next(iter([*same, *known]), role) or "parameter"
