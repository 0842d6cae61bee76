"""Chat messages made of Variables: validation, and rendering them for one call each.

Pure: nothing here asks a model.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from afnio._text import closest, describe, placeholders, shorten
from afnio._variable import Variable
from afnio.autodiff._content import (
    filled,
    texts_of,
    validate_block_input,
    validate_content,
)
from afnio.autodiff._inputs import variables_in
from afnio.autodiff._transcript import in_words, readable
from afnio.autodiff._turns import TURNS, parse_turns
from afnio.errors import InputTypeError, InputValueError, TemplateError

MultiTurnMessages: TypeAlias = list[dict[str, Any]]
"""``[{"role": str, "content": [Variable, …]}, …]``; several Variables in a message are
parts of one prompt, joined by line breaks. Images and documents stand among them as
blocks; see `afnio.models.blocks`."""

DEMONSTRATIONS: Final = "demonstrations"
"""The role of a message that stands for worked examples of the message after it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of a batch, ready to be sent."""

    index: int
    messages: tuple[dict[str, Any], ...]
    inputs: Mapping[str, Any]

    def in_words(self) -> Sample:
        """Return the sample with text only: blocks are described."""
        turns = tuple(map(readable, self.messages))
        facts = {
            name: in_words(value) if isinstance(value, Mapping) else value
            for name, value in self.inputs.items()
        }
        return Sample(self.index, turns, facts)


def validate_messages(messages: Any, owner: str = "messages") -> None:
    """Raise unless ``messages`` is a list of ``{"role", "content": [Variable]}``.

    Content blocks of `afnio.models.blocks` may stand among the Variables, and a text
    block may hold a Variable.

    Raises:
        InputTypeError: A wrong type, naming the place.
        InputValueError: A key is missing, or demonstrations are the last message.
    """
    if not isinstance(messages, (list, tuple)):
        raise InputTypeError(
            f"{owner} must be a list of dicts, got {type(messages).__name__}."
        )
    for position, message in enumerate(messages):
        _validate_message(message, f"{owner}[{position}]")
    for before, after in itertools.pairwise(messages):
        if before["role"] == DEMONSTRATIONS and after["role"] == TURNS:
            raise InputValueError(
                f"{owner} has demonstrations before turns; they show how the message "
                "after them is answered, so put the turns first."
            )
    if messages and messages[-1]["role"] == DEMONSTRATIONS:
        raise InputValueError(
            f"{owner} ends with demonstrations; they show how the message after them "
            "is answered, so put the user message last."
        )


def _validate_message(message: Any, place: str) -> None:
    if not isinstance(message, dict):
        raise InputTypeError(
            f"{place} must be a dict with 'role' and 'content', got "
            f"{type(message).__name__}."
        )
    missing = [key for key in ("role", "content") if key not in message]
    if missing:
        raise InputValueError(f"{place} lacks {' and '.join(map(repr, missing))}.")
    if not isinstance(message["role"], str):
        raise InputTypeError(
            f"{place}['role'] must be a str, got {type(message['role']).__name__}."
        )
    validate_content(message["content"], f"{place}['content']")
    if message["role"] == TURNS:
        validate_sequence(message["content"], Variable, f"{place}['content']")
    for part in message["content"]:
        shows, stands = fields_of(part) is not None, is_demonstrations(message)
        if shows != stands:
            kind = "Demonstrations" if shows else f"a {type(part).__name__}"
            raise InputTypeError(
                f"{place} has the role {message['role']!r} and holds {kind}; "
                f"Demonstrations, and nothing else, go in a message with the role "
                f"{DEMONSTRATIONS!r}, before the message that they show how to answer."
            )


def fields_of(variable: Any) -> tuple[str, ...] | None:
    """Return what the rows of demonstrations fill, or None for any other Variable."""
    return getattr(variable, "fields", None)


def validate_sequence(values: Any, kind: type, owner: str = "value") -> None:
    """Raise unless ``values`` is a list or tuple of ``kind``."""
    if not isinstance(values, (list, tuple)):
        raise InputTypeError(
            f"{owner} must be a list of {kind.__name__}s, got {type(values).__name__}."
        )
    for position, value in enumerate(values):
        if not isinstance(value, kind):
            raise InputTypeError(
                f"{owner}[{position}] must be a {kind.__name__}, got "
                f"{type(value).__name__}: {shorten(value)}."
            )


def validate_inputs(inputs: Any) -> None:
    """Raise unless ``inputs`` maps names to texts, Variables, blocks, or lists."""
    if inputs is None:
        return
    if not isinstance(inputs, Mapping):
        raise InputTypeError(
            f"inputs must be a dict of placeholder names, got {type(inputs).__name__}."
        )
    for name, value in inputs.items():
        if not isinstance(name, str):
            raise InputTypeError(f"inputs has a key that is not a str: {name!r}.")
        if value is None:
            raise _missing(name)
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, Mapping):
                validate_block_input(name, item)
            elif item is not None and not isinstance(item, (str, int, float, Variable)):
                raise InputTypeError(
                    f"inputs[{name!r}] must be text, a Variable, a content block, or a "
                    f"list of them; got {type(item).__name__}: {shorten(item)}."
                )


def _missing(name: str) -> InputTypeError:
    return InputTypeError(
        f"inputs[{name!r}] is None; give a text, or leave the name out. Only samples "
        "of a batch may be missing."
    )


def refuse_stray_inputs(messages: Any, completion_args: Mapping[str, Any]) -> None:
    """Raise if a completion argument is called like a placeholder of a message."""
    for name in completion_args:
        for message in messages:
            parts = variables_in(message["content"])
            if any(f"{{{name}}}" in _text_of(part) for part in parts):
                raise TemplateError(
                    f"{name}=... is a completion argument, but a message contains "
                    f"{{{name}}}; did you mean inputs={{{name!r}: ...}}?"
                )


def _text_of(variable: Variable) -> str:
    """Return a text that is there already, else nothing."""
    value = variable._value
    return value if isinstance(value, str) else ""


def variables_of(messages: Any, inputs: Any) -> Iterator[Variable]:
    """Yield the Variables of messages, then of inputs, in order."""
    for message in messages:
        yield from variables_in(message["content"])
    for value in (inputs or {}).values():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, Variable):
                yield item


def column(value: Any) -> Any:
    """Return an input as plain data: a scalar, or a list with one item per sample."""
    if isinstance(value, Variable):
        return value.data
    if isinstance(value, (list, tuple)):
        return [item.data if isinstance(item, Variable) else item for item in value]
    return value


def is_demonstrations(message: Mapping[str, Any]) -> bool:
    """Whether a message stands for worked examples."""
    return bool(message["role"] == DEMONSTRATIONS)


def batch_size(
    messages: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]
) -> int | None:
    """Return the length that all batched data shares, or None without a batch.

    Raises:
        InputValueError: Two lengths differ; the message names both.
    """
    columns = [(f"inputs[{name!r}]", data) for name, data in inputs.items()]
    for position, message in enumerate(messages):
        if not is_demonstrations(message):
            columns += [
                (f"messages[{position}]", part.data)
                for part in variables_in(message["content"])
            ]
    batched = [(name, data) for name, data in columns if isinstance(data, list)]
    for name, data in batched[1:]:
        if len(data) != len(batched[0][1]):
            raise InputValueError(
                "all batched inputs must share one length: "
                f"{batched[0][0]} is a {describe(batched[0][1])}, {name} is a "
                f"{describe(data)}."
            )
    return len(batched[0][1]) if batched else None


def check_placeholders(
    messages: Sequence[Mapping[str, Any]], names: Sequence[str], strict: bool
) -> None:
    """Raise for an input without placeholder and, if strict, the other way round.

    Raises:
        TemplateError: Naming the input or the placeholder.
    """
    found: dict[str, None] = {}
    for position, message in enumerate(messages):
        if is_demonstrations(message):
            _check_fields(message, messages[position + 1])
        else:
            found.update(_placeholders(message))
    unused = [name for name in names if name not in found]
    if unused:
        raise TemplateError(
            f"inputs has {', '.join(map(repr, unused))}, but no message contains "
            f"{{{unused[0]}}}; {closest(unused[0], found)}"
        )
    unfilled = [name for name in found if name not in names]
    if strict and unfilled:
        raise TemplateError(
            f"strict=True: the placeholder {{{unfilled[0]}}} has no input; "
            f"{closest(unfilled[0], names)}"
        )


def _placeholders(message: Mapping[str, Any]) -> dict[str, None]:
    found: dict[str, None] = {}
    for data in texts_of(message["content"]):
        for text in data if isinstance(data, list) else [data]:
            if isinstance(text, str):
                found.update(dict.fromkeys(placeholders(text)))
    return found


def _check_fields(demonstrations: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
    """Raise unless every field of the rows has its place in the message after them."""
    known = _placeholders(shown)
    for demos in demonstrations["content"]:
        for field in fields_of(demos) or ():
            if field not in known:
                raise TemplateError(
                    f"the demonstrations have the field {field!r}, but the message "
                    f"after them does not contain {{{field}}}; {closest(field, known)} "
                    "Give Demonstrations(fields=...) the placeholders of that message."
                )


def render(
    messages: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any], size: int | None
) -> list[Sample | None]:
    """Return what to send for each sample; None where its input is missing."""
    return [
        _render_sample(messages, inputs, index if size is not None else None)
        for index in range(1 if size is None else size)
    ]


def _render_sample(
    messages: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any], index: int | None
) -> Sample | None:
    def at(data: Any) -> Any:
        return data[index] if isinstance(data, list) and index is not None else data

    values = {name: at(data) for name, data in inputs.items()}
    missing = [name for name, value in values.items() if value is None]
    if missing and index is None:
        raise _missing(missing[0])
    if missing or (index is not None and _lacks_text(messages, index)):
        return None
    turns: list[dict[str, Any]] = []
    for position, message in enumerate(messages):
        if is_demonstrations(message):
            following = messages[position + 1]
            for demos in message["content"]:
                turns += _demonstrate(demos, following, values, at)
            continue
        if message["role"] == TURNS:
            turns += _expand(message, position, values, at)
            continue
        turns.append(_turn(message, values, at))
    return Sample(index or 0, tuple(turns), values)


def _lacks_text(messages: Sequence[Mapping[str, Any]], index: int) -> bool:
    """Whether a batched text of a message is missing for a sample."""
    return any(
        isinstance(part.data, list) and part.data[index] is None
        for message in messages
        if not is_demonstrations(message) and message["role"] != TURNS
        for part in variables_in(message["content"])
    )


def _turn(
    message: Mapping[str, Any], values: Mapping[str, Any], at: Any
) -> dict[str, Any]:
    content = filled(message["content"], values, at)
    return {"role": message["role"], "content": content}


def _expand(
    message: Mapping[str, Any], position: int, values: Mapping[str, Any], at: Any
) -> Iterator[dict[str, Any]]:
    """Yield the turns that a message stands for."""
    for part in message["content"]:
        place = f"messages[{position}], whose role is {TURNS!r},"
        for role, text in parse_turns(at(part.data), place):
            yield {"role": role, "content": filled([Variable(text)], values, at)}


def _demonstrate(
    demos: Any, following: Mapping[str, Any], values: Mapping[str, Any], at: Any
) -> Iterator[dict[str, Any]]:
    """Yield a turn pair per row: the next message filled with it, and its output."""
    fields = fields_of(demos) or ()
    for row in demos.data or []:
        filled = {**values, **dict(zip(fields, row[:-1], strict=True))}
        yield _turn(following, filled, at)
        yield {"role": "assistant", "content": row[-1]}
