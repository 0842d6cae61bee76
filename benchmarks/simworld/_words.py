"""The vocabulary of the simulated world: what its models know of the language."""

from __future__ import annotations

from typing import Final

BIRDS: Final = (
    "heron",
    "plover",
    "curlew",
    "dunlin",
    "godwit",
    "avocet",
    "bittern",
    "grebe",
    "fulmar",
    "gannet",
    "petrel",
    "shrike",
    "wryneck",
    "dotterel",
    "pipit",
    "siskin",
    "whimbrel",
    "garganey",
    "wigeon",
    "corncrake",
)
STONES: Final = (
    "quartz",
    "garnet",
    "beryl",
    "topaz",
    "jasper",
    "onyx",
    "agate",
    "zircon",
    "spinel",
    "gneiss",
    "basalt",
    "chert",
    "marl",
    "gabbro",
    "dolerite",
    "rhyolite",
    "andesite",
    "tuff",
    "schist",
    "peridot",
)
TOPICS: Final = frozenset((*BIRDS, *STONES))
COLOURS: Final = ("teal", "amber", "mauve", "ochre", "umber", "khaki", "sepia", "lilac")
CITIES: Final = ("Oslo", "Lima")
FLUFF: Final = (
    "Read the request twice before you answer.",
    "Be precise and leave nothing out.",
    "Think step by step about every part of the request.",
    "Double-check the answer.",
    "Stay calm and professional.",
    "Pay attention to detail.",
    "Consider the context of the request.",
    "Make sure that the answer is complete.",
    "Never guess when you can know.",
    "Keep the answer short.",
    "Follow the conventions of the house.",
    "Treat every request with equal care.",
)
TRAP: Final = "Give the colours only, without what they belong to."
"""An instruction that makes every answer useless."""


def kind(topic: str) -> str:
    """Return the desk that a topic belongs to."""
    return "bird" if topic in BIRDS else "stone"
