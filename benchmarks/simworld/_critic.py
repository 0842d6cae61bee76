"""The simulated critic: names what led to a mistake, as far as it notices."""

from __future__ import annotations

import json
import random
import re
from typing import Any, Final

from benchmarks.simworld._advice import Advisor
from benchmarks.simworld._forms import required
from benchmarks.simworld._notation import desk_in, plain, read
from benchmarks.simworld.presets import Physics

_PART_CHARS: Final = 300


def criticize(
    physics: Physics, text: str, args: dict[str, Any], rng: random.Random
) -> str:
    """Answer a request for feedback, as JSON if a schema asks for it.

    Args:
        physics: How good the critic is.
        text: All messages.
        args: Of the call.
        rng: The call's randomness.
    """
    names = required(args)
    if names is None:
        return _feedback(physics, text, desk_in(_focus(text)), rng)
    said = {
        name: _feedback(physics, text, desk_in(_part(text, name)), rng)
        for name in names
    }
    whole = json.dumps(said)
    return whole[: len(whole) // 2] if rng.random() < physics.break_form / 4 else whole


def _feedback(physics: Physics, text: str, desk: str | None, rng: random.Random) -> str:
    reading = read(text)
    advisor = Advisor(physics, rng, physics.recall, desk)
    found = dict.fromkeys([*advisor.relayed(reading), *advisor.on(reading)])
    return " ".join(f"Suggestion: {advice}." for advice in found)


def _part(text: str, name: str) -> str:
    """Return what stands after the last mention of a name, such as an input's text."""
    places = [found.end() for found in re.finditer(rf"{re.escape(name)}\b.?:", text)]
    start = places[-1] if places else 0
    return text[start : start + _PART_CHARS] if places else ""


def _focus(text: str) -> str:
    return read(plain(text)).current.head
