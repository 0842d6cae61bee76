"""Checks of options, with errors that name them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from afnio._text import closest, shorten
from afnio.errors import InputTypeError, InputValueError
from afnio.models._chat_client import ChatClient

_FOREIGN: Final[Mapping[str, str]] = {
    "engine": "model_client is the client that proposes.",
    "gradient_memory": "momentum of TGD is how many steps are remembered.",
    "learning_rate": "edit_lr of PatchTGD limits the edits of a step.",
    "llm": "model_client is the client that proposes.",
    "lm": "model_client is the client that proposes.",
    "lr": "edit_lr of PatchTGD limits the edits of a step.",
    "parameters": "params is their name.",
    "prompt_model": "model_client is the client that proposes.",
    "reflection_lm": "model_client is the client that proposes.",
    "verbose": "every decision is in history of the optimizer.",
}
"""Options of other libraries that no completion has, and what to use instead."""

_TGD_ONLY: Final = ("inputs", "messages", "momentum")


def require_int(name: str, value: Any, least: int) -> int:
    """Return an option that must be a whole number.

    Raises:
        InputTypeError: It is something else.
        InputValueError: It is below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputTypeError(
            f"{name} must be an int, got {type(value).__name__}: {shorten(value)}."
        )
    if value < least:
        raise InputValueError(f"{name} is {value}; expected {least} or more.")
    return value


def require_number(name: str, value: Any, low: float, high: float = math.inf) -> float:
    """Return an option that must be a number between two bounds.

    Raises:
        InputTypeError: It is something else.
        InputValueError: It is outside.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputTypeError(
            f"{name} must be a number, got {type(value).__name__}: {shorten(value)}."
        )
    if not low <= value <= high:
        wanted = f"{low} to {high}" if high < math.inf else f"{low} or more"
        raise InputValueError(f"{name} is {value}; expected {wanted}.")
    return value


def require_bool(name: str, value: Any) -> bool:
    """Return an option that must be True or False.

    Raises:
        InputTypeError: It is something else.
    """
    if not isinstance(value, bool):
        raise InputTypeError(
            f"{name} must be True or False, got {type(value).__name__}: "
            f"{shorten(value)}."
        )
    return value


def require_word(name: str, value: Any, known: Iterable[str]) -> str:
    """Return an option that must be one of a few words.

    Raises:
        InputValueError: It is another one; the closest is named.
    """
    words = list(known)
    if value not in words:
        raise InputValueError(
            f"{name} is {shorten(value)!r}; {closest(str(value), words)}"
        )
    return str(value)


def require_client(name: str, value: Any) -> ChatClient | None:
    """Return an option that must be a chat client, or None.

    Raises:
        InputTypeError: It is something else.
    """
    if value is not None and not callable(getattr(value, "agenerate", None)):
        raise InputTypeError(
            f"{name} must be a chat client of afnio.models, got {type(value).__name__}."
        )
    client: ChatClient | None = value
    return client


def require_part(name: str, value: Any, kind: type, needs: str) -> None:
    """Raise unless ``value`` has the methods of a part.

    Raises:
        InputTypeError: It lacks them, or is the class instead of an instance.
    """
    if isinstance(value, type):
        raise InputTypeError(
            f"{name} is the class {value.__name__}; pass an instance: "
            f"{value.__name__}()."
        )
    if not isinstance(value, kind):
        raise InputTypeError(
            f"{name} must have {needs}, got {type(value).__name__}: {shorten(value)}."
        )


def check_completion_args(kind: type, args: Mapping[str, Any]) -> None:
    """Raise if an argument of completions is meant to be an option of an optimizer.

    Raises:
        InputTypeError: It is a client of a model.
        InputValueError: It is spelled nearly like an option, or is one of `TGD`'s or of
            another library.
    """
    import difflib  # slow to import, and needed only here

    known = list(inspect.signature(kind).parameters)
    for name, value in args.items():
        if callable(getattr(value, "agenerate", None)):
            raise InputTypeError(
                f"{name} of {kind.__name__} is a {type(value).__name__}; pass the "
                "client as model_client=…; model=… is a model's name, as text."
            )
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if near or name in _TGD_ONLY:
            hint = f"did you mean {near[0]!r}?" if near else "TGD has it."
        elif (hint := _FOREIGN.get(name, "")) == "":
            continue
        raise InputValueError(f"{kind.__name__} has no option {name!r}; {hint}")
