"""What the three simulated models answer, by the strings they are sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from benchmarks.simworld import _forward
from benchmarks.simworld._chance import stream
from benchmarks.simworld._critic import criticize
from benchmarks.simworld._forms import answer_in_fields, fields_of
from benchmarks.simworld._rewriter import rewrite
from benchmarks.simworld.world import World

Role: TypeAlias = Literal["forward", "critic", "rewriter"]
ROLES: Final[tuple[Role, ...]] = ("forward", "critic", "rewriter")

Messages: TypeAlias = Sequence[Mapping[str, Any]]


class Models:
    """The models of one world, and how often each was asked.

    The same request asked again gets a fresh answer; which request comes first makes
    no difference to any answer.

    Args:
        world: What they live in. The forward model takes the noise and the possible
            colours from it, the others nothing but how good they are.
        run: Distinguishes repetitions in the same world.
    """

    def __init__(self, world: World, run: int = 0) -> None:
        self._world = world
        self._run = run
        self._asked: Counter[tuple[str, str]] = Counter()
        self.calls: Counter[str] = Counter()

    def answer(self, role: Role, messages: Messages, args: Mapping[str, Any]) -> str:
        """Answer one request.

        Args:
            role: Which model is asked.
            messages: The conversation.
            args: Completion arguments; only ``response_format`` matters.
        """
        text = "\n\n".join(_content(turn) for turn in messages)
        nonce = self._asked[role, text]
        self._asked[role, text] += 1
        self.calls[role] += 1
        if role == "forward":
            return self._forward(messages, text, nonce)
        rng = stream(self._world.name, self._run, role, text, nonce)
        if role == "critic":
            return criticize(self._world.physics, text, dict(args), rng)
        return rewrite(self._world.physics, text, args, rng)

    def _forward(self, messages: Messages, text: str, nonce: int) -> str:
        turns = [{**turn, "content": _content(turn)} for turn in messages]
        said = _forward.answer(self._world, turns, nonce, self._run)
        if fields := fields_of(text):
            return answer_in_fields(text, dict.fromkeys(fields, said))
        return said


def _content(turn: Mapping[str, Any]) -> str:
    content = turn.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)
