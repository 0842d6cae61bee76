"""Content blocks: what a message holds besides plain text, in one form for all models.

A block is a plain dict, so conversations can be stored, compared and hashed. Each
client puts blocks in its provider's words when it sends them. Providers' own blocks are
passed on as they are.

Examples:
    >>> from afnio.models import blocks
    >>> content = [blocks.text("What is this?"), blocks.image("https://example.org/a.png")]
    >>> message = {"role": "user", "content": content}
    >>> message["content"][1]["source"]["type"]
    'url'
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from afnio._text import closest, shorten
from afnio.errors import InputTypeError, InputValueError
from afnio.models._media import (
    DOCUMENTS,
    IMAGES,
    MAX_DOCUMENT_BYTES,
    MAX_IMAGE_BYTES,
    load,
)

if TYPE_CHECKING:
    from afnio.models._messages import Reply

__all__ = [
    "DOCUMENT",
    "IMAGE",
    "KNOWN_BLOCK_TYPES",
    "PROVIDER",
    "TEXT",
    "THINKING",
    "TOOL_RESULT",
    "TOOL_USE",
    "ContentBlockError",
    "MessageError",
    "assistant",
    "cached",
    "document",
    "image",
    "provider",
    "text",
    "thinking",
    "tool_result",
    "tool_use",
    "validate_block",
    "validate_message",
]

Block: TypeAlias = dict[str, Any]

TEXT: Final = "text"
TOOL_USE: Final = "tool_use"
TOOL_RESULT: Final = "tool_result"
THINKING: Final = "thinking"
IMAGE: Final = "image"
DOCUMENT: Final = "document"
PROVIDER: Final = "provider"

_REQUIRED: Final = {
    TEXT: frozenset({"text"}),
    TOOL_USE: frozenset({"id", "name", "input"}),
    TOOL_RESULT: frozenset({"tool_use_id", "content"}),
    THINKING: frozenset({"thinking"}),
    IMAGE: frozenset({"source"}),
    DOCUMENT: frozenset({"source"}),
    PROVIDER: frozenset({"_provider", "_native_type", "payload"}),
}
"""The keys that each kind of block has besides ``type``."""

KNOWN_BLOCK_TYPES: Final = frozenset(_REQUIRED)

ROLES: Final = frozenset({"user", "assistant", "system", "tool"})


class ContentBlockError(InputTypeError):
    """Something in a message is not a content block."""


class MessageError(InputTypeError):
    """Something in a conversation is not a message made of blocks."""


def text(text: str) -> Block:
    """Return a block of text."""
    if not isinstance(text, str):
        raise ContentBlockError(f"text is {type(text).__name__}; expected str.")
    return {"type": TEXT, "text": text}


def image(
    source: str | bytes | os.PathLike[str],
    *,
    media_type: str | None = None,
    detail: str | None = None,
) -> Block:
    """Return a block with an image: its content, or where the provider finds it.

    Args:
        source: A path, an ``http(s)://`` or ``data:`` URL, or the file's bytes. Files
            are read now, so a later change of the file changes nothing.
        media_type: ``image/png``, ``image/jpeg``, ``image/gif`` or ``image/webp``; told
            from the content where None.
        detail: OpenAI's ``low``, ``high`` or ``auto``; others do not get it.

    Raises:
        InputValueError: It is no image of these kinds, or larger than 20 MB.
        MissingFileError: There is no such file.
    """
    found = load(source, media_type, IMAGES, "image", MAX_IMAGE_BYTES)
    return {"type": IMAGE, "source": found, **({"detail": detail} if detail else {})}


def document(
    source: str | bytes | os.PathLike[str],
    *,
    title: str | None = None,
    media_type: str | None = None,
) -> Block:
    """Return a block with a PDF or a text file.

    Args:
        source: A path, an ``http(s)://`` or ``data:`` URL, or the file's bytes. URLs
            are fetched by the provider; not every one can.
        title: What the document is called; the file's name where None.
        media_type: ``application/pdf`` or ``text/plain``; told from the content where
            None.

    Raises:
        InputValueError: It is neither PDF nor UTF-8 text, or larger than 32 MB.
        MissingFileError: There is no such file.
    """
    found = load(source, media_type, DOCUMENTS, "document", MAX_DOCUMENT_BYTES)
    if title is None and found["type"] != "url":
        title = _file_name(source)
    return {"type": DOCUMENT, "source": found, **({"title": title} if title else {})}


def tool_use(id: str, name: str, input: Mapping[str, Any]) -> Block:  # noqa: A002
    """Return the block of an assistant message that calls a tool.

    Args:
        id: Ties the result to the call.
        name: The tool's name.
        input: The arguments.
    """
    if not isinstance(input, Mapping):
        raise ContentBlockError(
            f"the input of tool {name!r} is {type(input).__name__}; expected a dict."
        )
    return {"type": TOOL_USE, "id": id, "name": name, "input": dict(input)}


def tool_result(
    tool_use_id: str,
    content: str | Sequence[Mapping[str, Any]],
    *,
    is_error: bool = False,
) -> Block:
    """Return the block of a user message that says what a tool returned.

    Args:
        tool_use_id: The ``id`` of the call.
        content: A text, or blocks of text, images and documents.
        is_error: Whether the tool failed; the content then says why.
    """
    said = content if isinstance(content, str) else _copied(content)
    result = {"type": TOOL_RESULT, "tool_use_id": tool_use_id, "content": said}
    return {**result, "is_error": True} if is_error else result


def _copied(content: Any) -> list[Block]:
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise ContentBlockError(
            f"content is {type(content).__name__}; expected text or a list of blocks. "
            "Write other results as text, with json.dumps for example."
        )
    for block in content:
        validate_block(block)
    return [dict(block) for block in content]


def thinking(thinking: str, *, signature: str | None = None) -> Block:
    """Return a block of a model's thinking.

    Anthropic wants the thinking before a tool call back, with its signature; other
    providers get none.
    """
    block = {"type": THINKING, "thinking": thinking}
    return {**block, "signature": signature} if signature else block


def provider(name: str, payload: Mapping[str, Any]) -> Block:
    """Return a block that only one provider understands; others refuse it.

    Args:
        name: The provider: ``"openai"`` or ``"anthropic"``.
        payload: The block in that provider's words.
    """
    if not isinstance(payload, Mapping) or "type" not in payload:
        raise ContentBlockError(
            f"payload is {shorten(payload)!r}; expected a dict with a 'type'."
        )
    return {
        "type": PROVIDER,
        "_provider": name,
        "_native_type": payload["type"],
        "payload": dict(payload),
    }


def cached(block: Mapping[str, Any], *, ttl: str = "5m") -> Block:
    """Return ``block`` with the hint that everything up to its end is worth caching.

    Anthropic then keeps that prefix and charges a tenth for reading it again. OpenAI
    caches on its own, so it does not get the hint.

    Args:
        block: The last block of what does not change from call to call.
        ttl: How long it is kept: ``"5m"`` or ``"1h"``.
    """
    if ttl not in ("5m", "1h"):
        raise InputValueError(f"ttl is {ttl!r}; expected '5m' or '1h'.")
    hint = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
    return {**block, "cache_control": hint}


def assistant(reply: Reply) -> dict[str, Any]:
    """Return the message that continues a conversation with what a model replied.

    Thinking, text and tool calls become blocks, in the provider's order where it is
    known.
    """
    if reply.blocks:
        return {"role": "assistant", "content": [dict(b) for b in reply.blocks]}
    said = reply.text if reply.text is not None else reply.refusal
    content = [thinking(reply.reasoning)] if reply.reasoning else []
    content += [text(said)] if said else []
    content += [tool_use(t.id, t.name, t.arguments) for t in reply.tool_calls]
    return {"role": "assistant", "content": content}


def validate_block(block: Any) -> None:
    """Raise unless ``block`` is a block of a known kind with all its keys.

    Raises:
        ContentBlockError: Saying what is wrong with it.
    """
    if not isinstance(block, Mapping):
        raise ContentBlockError(
            f"a block is {type(block).__name__}: {shorten(block)!r}; expected a dict "
            "with a 'type'."
        )
    kind = block.get("type")
    if not isinstance(kind, str):
        raise ContentBlockError(f"a block has no 'type': {shorten(block)!r}.")
    if kind not in KNOWN_BLOCK_TYPES:
        raise ContentBlockError(
            f"unknown kind of block {kind!r}; {closest(kind, KNOWN_BLOCK_TYPES)} "
            "Wrap a provider's own block with blocks.provider(name, payload)."
        )
    check_keys(block)


def check_keys(block: Mapping[str, Any]) -> None:
    """Raise if a block of a known kind lacks a key; other kinds are the provider's."""
    required = _REQUIRED.get(block["type"], frozenset())
    if missing := sorted(required - block.keys()):
        raise ContentBlockError(
            f"a {block['type']!r} block lacks {', '.join(map(repr, missing))}."
        )


def validate_message(message: Any) -> None:
    """Raise unless ``message`` has a known role and a list of valid blocks.

    Raises:
        MessageError: It is no such message.
        ContentBlockError: A block is wrong; says which.
    """
    if not isinstance(message, Mapping):
        raise MessageError(f"a message is {type(message).__name__}; expected a dict.")
    role = message.get("role")
    if role not in ROLES:
        raise MessageError(
            f"a message has the role {role!r}; expected one of {sorted(ROLES)}."
        )
    content = message.get("content")
    if not isinstance(content, list):
        raise MessageError(
            f"the content of a message is {type(content).__name__}; expected a list of "
            "blocks."
        )
    for index, block in enumerate(content):
        try:
            validate_block(block)
        except ContentBlockError as error:
            raise ContentBlockError(f"content[{index}]: {error}") from error


def _file_name(source: Any) -> str | None:
    if isinstance(source, bytes) or str(source).startswith("data:"):
        return None
    return PurePath(source).name
