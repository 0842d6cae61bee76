"""Turns: several chat turns as one Parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from afnio import serialization
from afnio._data import Data
from afnio.autodiff._turns import parse_turns, write_turns
from afnio.cognitive.parameter import Parameter, _restored, _to_state

__all__ = ["Turns"]


class Turns(Parameter):
    """Several turns of a conversation that are learned together.

    In messages it stands as ``{"role": "turns", "content": [turns]}`` and becomes its
    turns, whose ``{placeholders}`` are filled as in any message. Its data is one text,
    with ``[user]`` or ``[assistant]`` on a line of its own before each turn, so that it
    can be criticised and rewritten like a prompt; a rewrite that is not turns is
    refused.

    Args:
        turns: Pairs of role and text, messages with text as content, or that one text.
        role: What the turns are for, in words.
        requires_grad: Whether they are to be learned.
        **settings: See `Parameter`.

    Raises:
        InputTypeError: Something is no turn.
        InputValueError: The text is not turns, or a role is unknown.

    Examples:
        >>> turns = Turns([("user", "Hi, I am {name}."), ("assistant", "Hello!")])
        >>> print(turns.data)
        [user]
        Hi, I am {name}.
        <BLANKLINE>
        [assistant]
        Hello!
        >>> turns.turns()[1]
        ('assistant', 'Hello!')
    """

    __slots__ = ()

    def __init__(
        self,
        turns: str | Iterable[Any],
        role: str | None = "turns of the conversation",
        requires_grad: bool = True,
        **settings: Any,
    ) -> None:
        text = turns if isinstance(turns, str) else write_turns(turns)
        parse_turns(text)
        super().__init__(text, role, requires_grad, **settings)

    def turns(self) -> list[tuple[str, str]]:
        """Return the role and text of every turn."""
        return parse_turns(self.data)

    def check_data(self, data: Data) -> None:
        """Raise if a rewrite to ``data`` is not turns, or loses what is frozen."""
        parse_turns(data)
        super().check_data(data)


def _from_state(state: Mapping[str, Any]) -> Turns:
    keys = ("role", "name", "constraints", "max_length", "frozen")
    turns = Turns(state["data"], **{key: state[key] for key in keys})
    return _restored(turns, state)


serialization.register_type("Turns", Turns, _to_state, _from_state)
