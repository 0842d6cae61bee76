"""Sets of demonstrations to try."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from afnio._variable import Variable
from afnio.optim._demos import Row, random_set, swapped

Sets: TypeAlias = Mapping[Variable, list[Row]]
"""The rows of each parameter."""

_TRIES: Final = 20
"""Draws per wanted candidate, until one has not been tried in this step."""


@dataclass(slots=True)
class DemoSearch:
    """Draws sets of rows, each only once."""

    rng: random.Random
    start: Sets
    """The present rows."""
    pools: Mapping[Variable, list[Row]]
    """What may be drawn from; parameters without enough rows are absent."""
    sizes: Mapping[Variable, int]
    seen: set[tuple[Any, ...]]

    def draw(self, wanted: int, base: Sets | None) -> list[Sets]:
        """Return new candidates: random ones, or neighbours of ``base``."""
        found: list[Sets] = []
        for _ in range(wanted * _TRIES):
            sets = self.random() if base is None else self._neighbour(base)
            key = key_of(sets)
            if key not in self.seen:
                self.seen.add(key)
                found.append(sets)
            if len(found) == wanted:
                break
        return found

    def random(self) -> Sets:
        """Return random rows for every parameter."""
        return {
            param: random_set(self.rng, pool, self.sizes[param])
            for param, pool in self.pools.items()
        }

    def _neighbour(self, base: Sets) -> Sets:
        sets = dict(base)
        param = self.rng.choice(list(self.pools))
        sets[param] = swapped(
            self.rng, sets[param], self.pools[param], self.sizes[param]
        )
        return sets


def key_of(sets: Sets) -> tuple[Any, ...]:
    """Return what makes two candidates the same."""
    return tuple(tuple(tuple(row) for row in rows) for rows in sets.values())
