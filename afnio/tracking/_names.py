"""Random names for runs, such as ``brave_heron_123``."""

from __future__ import annotations

import secrets
from typing import Final

_ADJECTIVES: Final = """
able bold brave bright brisk calm candid careful cheerful clear clever curious
eager earnest fair fearless gentle golden graceful honest humble jolly keen kind
lively lucid mellow merry modest nimble patient placid polite proud quick quiet
ready serene sharp silent simple sincere steady subtle sunny swift tender thrifty
tidy upbeat valiant vivid warm watchful wise witty zesty
"""
_NOUNS: Final = """
acorn badger beacon birch brook canyon cedar comet coral crane dune eagle ember
falcon fern finch fjord forest glacier harbor hazel heron island jasper juniper
lagoon lantern lark laurel linden lynx maple marten meadow mesa moss oak orchid
osprey otter pebble pine plover quartz raven reef river robin rowan sage sparrow
spruce stone swallow thistle tulip valley walnut willow wren
"""
_NUMBERS: Final = 1000


def random_name() -> str:
    """Return a fresh name; the program's own random numbers are left alone."""
    adjective, noun = (
        secrets.choice(_ADJECTIVES.split()),
        secrets.choice(_NOUNS.split()),
    )
    return f"{adjective}_{noun}_{secrets.randbelow(_NUMBERS)}"
