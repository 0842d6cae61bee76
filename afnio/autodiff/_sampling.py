"""Which repetition of a question a call is, so repeated sampling stays that.

Equal questions share one reply only when they carry the same sample index. Operations
number equal questions to one client in the order they are asked, starting at 0 in every
process, so a cache or a recording gives each repetition its own reply again.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

_LIMIT: Final = 200_000
"""Different questions remembered per client; past it, numbering starts again."""

_asked: Final[weakref.WeakKeyDictionary[Any, dict[int, int]]] = (
    weakref.WeakKeyDictionary()
)


def next_index(
    client: Any, messages: Sequence[Mapping[str, Any]], args: Mapping[str, Any]
) -> int:
    """Return how often this client has been asked just this before."""
    counts = _asked.setdefault(client, {})
    if len(counts) >= _LIMIT:
        counts.clear()
    turns = tuple((turn["role"], turn["content"]) for turn in messages)
    question = hash((turns, repr(sorted(args.items(), key=lambda item: item[0]))))
    index = counts.get(question, 0)
    counts[question] = index + 1
    return index
