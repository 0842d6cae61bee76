"""Chat messages made of Variables: validation, and rendering them for one call each.

Pure: nothing here asks a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from afnio._text import closest, describe, fill, placeholders, shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError, TemplateError

MultiTurnMessages: TypeAlias = list[dict[str, Any]]
"""``[{"role": str, "content": [Variable, …]}, …]``; several Variables in a message are
parts of one prompt, joined by line breaks."""

DEMONSTRATIONS: Final = "demonstrations"
"""The role of a message that stands for worked examples of the message after it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of a batch, ready to be sent."""

    index: int
    messages: tuple[dict[str, str], ...]
    inputs: Mapping[str, Any]


def validate_messages(messages: Any, owner: str = "messages") -> None:
    """Raise unless ``messages`` is a list of ``{"role", "content": [Variable]}``.

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
    """Raise unless ``inputs`` maps names to texts, Variables, or lists of them."""
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
            raise InputTypeError(
                f"inputs[{name!r}] is None; give a text, or leave the name out. Only "
                "samples of a batch may be missing."
            )
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is not None and not isinstance(item, (str, int, float, Variable)):
                raise InputTypeError(
                    f"inputs[{name!r}] must be text, a Variable, or a list of them; "
                    f"got {type(item).__name__}: {shorten(item)}."
                )


def refuse_stray_inputs(messages: Any, completion_args: Mapping[str, Any]) -> None:
    """Raise if a completion argument is called like a placeholder of a message."""
    for name in completion_args:
        for message in messages:
            if any(f"{{{name}}}" in _text_of(part) for part in message["content"]):
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
        yield from message["content"]
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


def batch_size(messages: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]) -> Any:
    """Return the length that all batched data shares, or None without a batch.

    Raises:
        InputValueError: Two lengths differ; the message names both.
    """
    columns = [(f"inputs[{name!r}]", data) for name, data in inputs.items()]
    for position, message in enumerate(messages):
        if not is_demonstrations(message):
            columns += [
                (f"messages[{position}]", part.data) for part in message["content"]
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
    for part in message["content"]:
        for text in part.data if isinstance(part.data, list) else [part.data]:
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
    if index is not None and None in values.values():
        return None
    turns: list[dict[str, str]] = []
    for position, message in enumerate(messages):
        if is_demonstrations(message):
            following = messages[position + 1]
            for demos in message["content"]:
                turns += _demonstrate(demos, following, values, at)
            continue
        turns.append(_turn(message, values, at))
    return Sample(index or 0, tuple(turns), values)


def _turn(
    message: Mapping[str, Any], values: Mapping[str, Any], at: Any
) -> dict[str, str]:
    parts = (fill(_as_text(at(part.data)), values) for part in message["content"])
    return {"role": message["role"], "content": "\n".join(parts)}


def _as_text(data: Any) -> str:
    return "" if data is None else str(data)


def _demonstrate(
    demos: Any, following: Mapping[str, Any], values: Mapping[str, Any], at: Any
) -> Iterator[dict[str, str]]:
    """Yield a turn pair per row: the next message filled with it, and its output."""
    fields = fields_of(demos) or ()
    for row in demos.data or []:
        filled = {**values, **dict(zip(fields, row[:-1], strict=True))}
        yield _turn(following, filled, at)
        yield {"role": "assistant", "content": row[-1]}
