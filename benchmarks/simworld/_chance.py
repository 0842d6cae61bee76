"""Randomness that depends on nothing but its name, and exact chances of it."""

from __future__ import annotations

import hashlib
import random
from functools import lru_cache
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_LEAST: Final = 1e-9


def number(*names: object) -> int:
    """Return a number that depends on all the names and their order."""
    text = "\x1f".join(map(str, names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def stream(*names: object) -> random.Random:
    """Return a generator of random numbers of its own for these names."""
    return random.Random(number(*names))


@lru_cache(maxsize=1 << 16)
def normal(*names: object) -> float:
    """Return a standard normal number that depends on the names only."""
    share = (number(*names) + 0.5) / 2**64
    return _NORMAL.inv_cdf(min(max(share, _LEAST), 1 - _LEAST))


def uniform(item: float, call: float, share: float) -> float:
    """Return a number from 0 to 1 of two standard normal ones.

    Args:
        item: The item's part of the noise.
        call: The call's part.
        share: How much of the variance is the item's.
    """
    return _NORMAL.cdf(share**0.5 * item + (1 - share) ** 0.5 * call)


def expected(chance: float, item: float, share: float) -> float:
    """Return how often `uniform` is below a chance, over calls, for a given item."""
    if not 0.0 < chance < 1.0:
        return float(chance >= 1.0)
    if share >= 1.0:
        return float(item < _threshold(chance))
    return _NORMAL.cdf((_threshold(chance) - share**0.5 * item) / (1 - share) ** 0.5)


@lru_cache(maxsize=1 << 12)
def _threshold(chance: float) -> float:
    return _NORMAL.inv_cdf(min(max(chance, _LEAST), 1 - _LEAST))
