"""What a message holds: Variables and content blocks; checked, and filled for a call.

Pure: nothing here asks a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from afnio._text import _PLACEHOLDER, fill, shorten
from afnio._variable import Variable
from afnio.autodiff._inputs import variables_in
from afnio.errors import InputTypeError, InputValueError
from afnio.models import blocks

Block: TypeAlias = dict[str, Any]
At: TypeAlias = Callable[[Any], Any]
"""Picks a sample's part out of data that may be a batch."""


def validate_content(content: Any, place: str) -> None:
    """Raise unless ``content`` is a list of Variables and content blocks.

    Raises:
        InputTypeError: It is something else; names the place.
    """
    if not isinstance(content, (list, tuple)):
        raise InputTypeError(
            f"{place} must be a list of Variables, got {type(content).__name__}."
        )
    for position, part in enumerate(content):
        if isinstance(part, Mapping):
            try:
                blocks.validate_block(part)
            except blocks.ContentBlockError as error:
                raise blocks.ContentBlockError(
                    f"{place}[{position}]: {error}"
                ) from error
        elif not isinstance(part, Variable):
            raise InputTypeError(
                f"{place}[{position}] must be a Variable or a content block, got "
                f"{type(part).__name__}: {shorten(part)}."
            )


def validate_block_input(name: str, block: Mapping[str, Any]) -> None:
    """Raise unless an input is a block that may stand for a placeholder.

    Raises:
        ContentBlockError: It is no content block.
        InputValueError: There is a Variable in it.
    """
    try:
        blocks.validate_block(block)
    except blocks.ContentBlockError as error:
        raise blocks.ContentBlockError(f"inputs[{name!r}]: {error}") from error
    if variables_in(block):
        raise InputValueError(
            f"inputs[{name!r}] is a block that holds a Variable; put the Variable in "
            "the message, or its text in the block."
        )


def map_variables(part: Any, fn: Callable[[Variable], Any]) -> Any:
    """Return a part of a message with ``fn`` applied to every Variable in it."""
    if isinstance(part, Variable):
        return fn(part)
    if isinstance(part, Mapping):
        return {key: map_variables(value, fn) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [map_variables(item, fn) for item in part]
    return part


def texts_of(content: Sequence[Any]) -> Iterator[Any]:
    """Yield the data of all text that is filled: of Variables and text blocks."""
    for part in content:
        if isinstance(part, Variable):
            yield part.data
        elif part["type"] == blocks.TEXT:
            text = part["text"]
            yield text.data if isinstance(text, Variable) else text


def filled(
    content: Sequence[Any], values: Mapping[str, Any], at: At
) -> str | list[Block]:
    """Return content for one call: text if all is text, else blocks.

    Args:
        content: Variables and blocks.
        values: What fills the placeholders: text, or blocks, which stand in the place
            of the placeholder.
        at: Picks the sample's part out of a batch.
    """
    parts: list[str | Block] = []
    plain = True
    for part in content:
        if isinstance(part, Variable):
            parts += _pieces(_as_text(at(part.data)), values)
        elif part["type"] == blocks.TEXT:
            plain = plain and part.keys() == {"type", "text"}
            parts += _text_block(part, values, at)
        else:
            parts.append(map_variables(part, lambda found: at(found.data)))
    if plain and all(isinstance(part, str) for part in parts):
        return "\n".join(str(part) for part in parts)
    return [
        blocks.text(part) if isinstance(part, str) else part for part in parts if part
    ]


def _text_block(
    block: Mapping[str, Any], values: Mapping[str, Any], at: At
) -> list[str | Block]:
    text = block["text"]
    text = at(text.data) if isinstance(text, Variable) else text
    pieces = list(_pieces(_as_text(text), values))
    extra = {k: v for k, v in block.items() if k not in ("type", "text")}
    if not extra:
        return pieces
    return [{**blocks.text(p), **extra} if isinstance(p, str) else p for p in pieces]


def _pieces(template: str, values: Mapping[str, Any]) -> Iterator[str | Block]:
    """Fill a template; what stands around a block becomes text of its own."""
    start = 0
    if any(isinstance(value, Mapping) for value in values.values()):
        for match in _PLACEHOLDER.finditer(template):
            value = values.get(match.group(2) or "")
            if isinstance(value, Mapping):
                if before := fill(template[start : match.start()], values).strip():
                    yield before
                yield dict(value)
                start = match.end()
    rest = fill(template[start:], values)
    if rest.strip() or not start:
        yield rest


def _as_text(data: Any) -> str:
    return "" if data is None else str(data)
