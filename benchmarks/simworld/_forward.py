"""The simulated model that answers requests, from what stands in its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.simworld._chance import normal, uniform
from benchmarks.simworld._notation import (
    Guide,
    Request,
    desk_in,
    guide_in,
    pieces,
    plain,
    replies_in,
    request_in,
)
from benchmarks.simworld._words import kind
from benchmarks.simworld.world import World

LOST: Final = "I do not see a request."


def answer(
    world: World, messages: Sequence[Mapping[str, Any]], nonce: int, run: int = 0
) -> str:
    """Answer the last request of a conversation.

    Args:
        world: For its noise, and for the colours that a guess is made of.
        messages: The conversation; all that is known about the rules stands in it.
        nonce: How often the very same was asked before.
        run: Distinguishes repetitions in the same world.
    """
    *before, last = [str(turn["content"]) for turn in messages]
    asked = request_in(last)
    if asked is None:
        return LOST
    guide = guide_in(plain("\n".join(before)))
    desk = desk_in(last)
    said = _notes(last, asked) if desk else {}
    call = "\x1e".join([*before, last])
    for topic in asked.topics:
        if desk in (None, kind(topic)):
            said[topic] = _colour(world, guide, asked, topic, (call, nonce, run))
    shown = said.values() if guide.trapped else (f"{t}={c}" for t, c in said.items())
    return f"Reply to {asked.number}: {', '.join(shown) or 'nothing'}."


def _notes(text: str, asked: Request) -> dict[str, str]:
    """Return what another module has found out about the request."""
    return {
        topic: colour
        for number, said in replies_in(text)
        if number == asked.number
        for topic, colour in pieces(said).items()
    }


def _colour(
    world: World, guide: Guide, asked: Request, topic: str, call: tuple[str, int, int]
) -> str:
    """Draw a colour, from what is told and luck."""
    fresh = normal(world.name, "forward", topic, *call)
    luck = world.luck(asked.number, topic)
    point = uniform(luck, fresh, world.physics.item_share)
    drawn = world.draws(guide, asked, topic)
    for colour, width in drawn:
        point -= width
        if point < 0:
            return colour
    return drawn[-1][0]
