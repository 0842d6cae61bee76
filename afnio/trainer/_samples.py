"""Names for samples, so that two looks at them can be paired."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from afnio._variable import Variable

_DIGITS: Final = 16


class SampleScores:
    """Per-sample scores of one pass over some batches, and whose they are.

    A sample is known by its contents; so passes in another order, or in other batches,
    can be paired too.
    """

    def __init__(self) -> None:
        self._scores: list[float] = []
        self._keys: list[str] | None = []

    def add(self, batch: Any, size: int, scores: Sequence[float]) -> None:
        """Note the scores of a batch of ``size`` samples."""
        self._scores += scores
        keys = sample_keys(batch, size) if len(scores) == size else None
        if keys is None:
            self._keys = None
        elif self._keys is not None:
            self._keys += keys

    def sorted(self) -> tuple[tuple[float, ...], str]:
        """Return scores in an order that depends on the samples alone, and their name.

        The name is the same for the same samples, and empty if they have none.
        """
        if not self._keys:
            return tuple(self._scores), ""
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        name = _digest("".join(self._keys[number] for number in order))
        return tuple(self._scores[number] for number in order), name


def sample_keys(batch: Any, size: int) -> list[str] | None:
    """Return a digest of each sample's contents; None if they have no stable form.

    Lists of ``size`` items, at any depth, hold one item per sample; everything else
    belongs to all of them.
    """
    try:
        return [
            _digest(json.dumps(_sample(batch, number, size), sort_keys=True))
            for number in range(size)
        ]
    except TypeError:
        return None


def _sample(value: Any, number: int, size: int) -> Any:
    if isinstance(value, Variable):
        value = value.data
    if isinstance(value, Mapping):
        return {str(key): _sample(each, number, size) for key, each in value.items()}
    if isinstance(value, list) and len(value) == size:
        return _plain(value[number])
    if isinstance(value, (list, tuple)):
        return [_sample(each, number, size) for each in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Variable):
        return _plain(value.data)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    kinds = type(value).__mro__[:-1]
    if not any("__repr__" in vars(kind) for kind in kinds):
        raise TypeError("an address is no name")
    return repr(value)


def _digest(text: str) -> str:
    payload = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(payload).hexdigest()[:_DIGITS]
