"""Chat turns written as one text, so that they can be learned, diffed and exported.

Pure: nothing here asks a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError

TURNS: Final = "turns"
"""The role of a message that stands for several turns."""

ROLES: Final = ("system", "user", "assistant")

_HEAD: Final = re.compile(rf"^\[({'|'.join(ROLES)})\][ \t]*$", re.MULTILINE)
_FORM: Final = "expected [user] or [assistant] on a line of its own before each turn"


def parse_turns(text: Any, place: str = "turns") -> list[tuple[str, str]]:
    """Return the role and text of every turn.

    Raises:
        InputValueError: The text is not turns; names the place.
    """
    if not isinstance(text, str):
        raise InputValueError(f"{place} must be one text, got {type(text).__name__}.")
    _, *cut = _HEAD.split("\n" + text)
    before = text[: match.start()] if (match := _HEAD.search(text)) else text
    if before.strip() or not cut:
        raise InputValueError(
            f"{place} does not begin with a turn: {shorten(before)!r}; {_FORM}."
        )
    return [
        (role, said.strip("\n")) for role, said in zip(cut[::2], cut[1::2], strict=True)
    ]


def write_turns(turns: Iterable[Any]) -> str:
    """Write turns as one text.

    Args:
        turns: Pairs of role and text, or messages with text as content.

    Raises:
        InputTypeError: Something is no turn.
        InputValueError: A role is unknown, or a text would read as several turns.
    """
    if not isinstance(turns, Iterable):
        raise InputTypeError(
            f"turns must be pairs of role and text, got {type(turns).__name__}."
        )
    return "\n\n".join(
        f"[{role}]\n{text}" for role, text in map(_checked, enumerate(turns))
    )


def _checked(numbered: tuple[int, Any]) -> tuple[str, str]:
    position, turn = numbered
    if isinstance(turn, dict):
        turn = (turn.get("role"), turn.get("content"))
    pair = isinstance(turn, (list, tuple)) and len(turn) == 2  # noqa: PLR2004 - a pair
    if not pair or not all(isinstance(item, str) for item in turn):
        raise InputTypeError(
            f"turn {position} must be a pair of role and text, got {shorten(turn)}."
        )
    role, text = turn
    if role not in ROLES:
        raise InputValueError(
            f"turn {position} has the role {role!r}; expected one of {list(ROLES)}."
        )
    if _HEAD.search(text):
        raise InputValueError(
            f"turn {position} holds a line such as [user], which would begin another "
            "turn; put something before it on that line."
        )
    return role, text
