"""The state of Python's random numbers, as short JSON data."""

from __future__ import annotations

import base64
import random
import struct
from collections.abc import Sequence
from typing import Any


def random_state() -> list[Any]:
    """Return the state of Python's global random numbers."""
    version, numbers, gauss = random.getstate()
    packed = struct.pack(f"<{len(numbers)}I", *numbers)
    return [version, base64.b64encode(packed).decode("ascii"), gauss]


def set_random_state(state: Sequence[Any]) -> None:
    """Continue Python's global random numbers from what `random_state` returned."""
    random.setstate(_unpacked(state))


def is_random_state(state: Any) -> bool:
    """Whether `set_random_state` would take it."""
    try:
        unpacked = _unpacked(state)
        random.Random().setstate(unpacked)
    except (TypeError, ValueError, OverflowError, struct.error):
        return False
    return unpacked[2] is None or isinstance(unpacked[2], float)


def _unpacked(state: Sequence[Any]) -> tuple[Any, tuple[int, ...], Any]:
    version, text, gauss = state
    packed = base64.b64decode(text)
    return version, struct.unpack(f"<{len(packed) // 4}I", packed), gauss
