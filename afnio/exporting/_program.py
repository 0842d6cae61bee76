"""What there is to export of a program: its chats, cut into texts and inputs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from afnio._text import _PLACEHOLDER, describe, shorten
from afnio._variable import Variable
from afnio.autodiff._chat import is_demonstrations
from afnio.autodiff._inputs import variables_in
from afnio.autodiff._transcript import in_words
from afnio.autodiff._turns import TURNS, parse_turns
from afnio.cognitive.modules._registry import is_chat
from afnio.cognitive.modules.module import Module
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.errors import InputTypeError, InputValueError

_STATE: Final = "agent_state_dict"
"""Where a checkpoint holds the program."""

_SETTINGS: Final = frozenset(
    {
        "frequency_penalty",
        "max_completion_tokens",
        "max_tokens",
        "model",
        "presence_penalty",
        "reasoning_effort",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
    }
)
"""Arguments of calls that are exported; any other might be a secret."""


class Slot(NamedTuple):
    """The place of an input in a text."""

    name: str


Parts: TypeAlias = tuple[str | Slot, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat."""

    role: str
    parts: Parts


@dataclass(frozen=True, slots=True)
class Chat:
    """One conversation of a program."""

    name: str
    turns: tuple[Turn, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that is exported."""

    chats: tuple[Chat, ...]
    texts: Mapping[str, str]
    """Parameters that stand in no chat, by name."""


def collect(program: Any) -> Program:
    """Read a Module, a state dict or a checkpoint.

    Raises:
        InputTypeError: It is something else.
        InputValueError: It holds no prompts, or one that is a batch.
    """
    state = _state_of(program)
    chats = {key: value for key, value in state.items() if is_chat(value)}
    used = {id(part) for chat in chats.values() for part in variables_in(chat)}
    texts = {
        key: _text(value, key)
        for key, value in state.items()
        if isinstance(value, Parameter) and id(value) not in used
    }
    if not chats and not texts:
        raise InputValueError(
            "there is nothing to export: the program has registered no chats and no "
            "Parameters."
        )
    found = tuple(
        Chat(key, tuple(_turns(chat, key)), _settings(state, key))
        for key, chat in chats.items()
    )
    return Program(found, texts)


def _state_of(program: Any) -> Mapping[str, Any]:
    if isinstance(program, Module):
        return program.state_dict(keep_vars=True)
    if not isinstance(program, Mapping):
        raise InputTypeError(
            f"only a Module or its state dict can be exported, got {describe(program)}."
        )
    inner = program.get(_STATE)
    return inner if isinstance(inner, Mapping) else program


def _text(variable: Variable, place: str) -> str:
    data = variable.data
    if isinstance(variable, Demonstrations):
        return "\n".join(" | ".join(row) for row in variable.rows())
    if isinstance(data, list):
        raise InputValueError(
            f"{place} holds a batch, {describe(data)}; only single texts can be "
            "exported."
        )
    return "" if data is None else str(data)


def _text_of(part: Any, place: str) -> str:
    if isinstance(part, Variable):
        return _text(part, place)
    if part.get("type") != "text":
        raise InputValueError(
            f"{place} holds {in_words(part)}; only texts can be exported."
        )
    text = part["text"]
    return _text(text, place) if isinstance(text, Variable) else str(text)


def _turns(chat: Iterable[Mapping[str, Any]], name: str) -> Iterator[Turn]:
    messages = list(chat)
    for position, message in enumerate(messages):
        place = f"{name}[{position}]"
        if message["role"] == TURNS:
            for part in message["content"]:
                for role, text in parse_turns(_text(part, place), place):
                    yield Turn(role, parse(text))
            continue
        if not is_demonstrations(message):
            yield Turn(message["role"], _parts(message, place))
            continue
        following = messages[position + 1]
        for demos in message["content"]:
            yield from _demonstrated(demos, following, place)


def _demonstrated(
    demos: Any, following: Mapping[str, Any], place: str
) -> Iterator[Turn]:
    """Yield a turn pair per row: the next message filled with it, and its output."""
    fields = getattr(demos, "fields", ())
    asked = _parts(following, place)
    for row in demos.data or []:
        values = dict(zip(fields, row[:-1], strict=True))
        filled = (values.get(p.name, p) if isinstance(p, Slot) else p for p in asked)
        yield Turn(following["role"], joined(filled))
        yield Turn("assistant", joined([row[-1]]))


def _parts(message: Mapping[str, Any], place: str) -> Parts:
    parts: list[str | Slot] = []
    for index, part in enumerate(message["content"]):
        if index:
            parts.append("\n")
        parts += parse(_text_of(part, place))
    return joined(parts)


def parse(template: str) -> Parts:
    """Cut a template into texts and inputs, as `afnio._text.fill` reads it."""
    parts: list[str | Slot] = []
    end = 0
    for match in _PLACEHOLDER.finditer(template):
        literal, name = match.groups()
        parts.append(template[end : match.start()])
        parts.append(Slot(name) if literal is None else f"{{{literal}}}")
        end = match.end()
    return joined([*parts, template[end:]])


def joined(parts: Iterable[str | Slot]) -> Parts:
    """Join texts that stand next to each other; empty ones are left out."""
    found: list[str | Slot] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


def template_of(parts: Parts, *, strict: bool) -> str:
    """Write parts as a template; text that looks like an input gets double braces.

    Raises:
        InputValueError: ``strict``, and the template would be read differently: a brace
            stands right next to an input.
    """
    template = "".join(
        f"{{{part.name}}}"
        if isinstance(part, Slot)
        else re.sub(r"\{(\w+)\}", r"{{\1}}", part)
        for part in parts
    )
    if strict and parse(template) != parts:
        raise InputValueError(
            "a brace stands right next to an input, which a template cannot tell from "
            f"double braces; export to python instead. The text: {shorten(template)!r}."
        )
    return template


def _settings(state: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the plain settings of the calls that a chat belongs to."""
    owner = key.rpartition(".")[0]
    return {
        name: value
        for other, args in state.items()
        if isinstance(args, Mapping)
        and "class_type" not in args
        and other.rpartition(".")[0] == owner
        for name, value in args.items()
        if name in _SETTINGS and _is_plain(value)
    }


def _is_plain(value: object) -> bool:
    return type(value) in (str, int, bool) or (
        type(value) is float and math.isfinite(value)
    )
