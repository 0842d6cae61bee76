"""Conversations in the words of Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from afnio.errors import InputTypeError, InputValueError
from afnio.models import blocks
from afnio.models._media import from_url
from afnio.models._messages import Message
from afnio.models._tools import Choice, read_call, read_choice, read_tool, tool_names

_SYSTEM_ROLES: Final = frozenset({"system", "developer"})
_MODES: Final = {"required": "any"}
_KEYS: Final = {
    blocks.TEXT: ("text", "cache_control"),
    blocks.TOOL_USE: ("id", "name", "input", "cache_control"),
    blocks.THINKING: ("thinking", "signature"),
    blocks.IMAGE: ("source", "cache_control"),
    blocks.DOCUMENT: ("source", "title", "context", "citations", "cache_control"),
}
"""What of our blocks is sent."""

_NEEDED: Final = {blocks.TEXT: "text", blocks.THINKING: "signature"}
"""What the API does not take a block without."""


def system_of(messages: Sequence[Message]) -> str | list[dict[str, Any]]:
    """Return all system messages as one text, or as blocks if any has blocks."""
    contents = [m.get("content") for m in messages if m["role"] in _SYSTEM_ROLES]
    if all(isinstance(content, str) for content in contents):
        return "\n\n".join(map(str, contents))
    return [block for content in contents for block in _blocks(content)]


def turns_of(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """Yield user and assistant turns; neighbours of one role become one turn."""
    turns = [_turn(m) for m in messages if m["role"] not in _SYSTEM_ROLES]
    if not turns:
        raise InputValueError(
            "the conversation has system messages only; Anthropic needs a user message."
        )
    for role, group in groupby(turns, key=lambda turn: turn[0]):
        contents = [content for _, content in group]
        if len(contents) == 1 and isinstance(contents[0], str):
            yield {"role": role, "content": contents[0]}
        else:
            found = [block for content in contents for block in _blocks(content)]
            # the API wants results before everything else of their turn
            found.sort(key=lambda block: block["type"] != blocks.TOOL_RESULT)
            yield {"role": role, "content": found}


def set_tools(args: dict[str, Any]) -> None:
    """Put tools, their choice and their number of ``args`` in Anthropic's words."""
    names = []
    if args.get("tools") is not None:
        names = tool_names(args["tools"])
        args["tools"] = [_tool(tool) for tool in args["tools"]]
    if args.get("tool_choice") is not None:
        choice = read_choice(args["tool_choice"], names)
        args["tool_choice"] = _choice(choice) if choice else args["tool_choice"]
    if args.pop("parallel_tool_calls", None) is False and names:
        chosen = dict(args.get("tool_choice") or {"type": "auto"})
        if chosen["type"] != "none":
            args["tool_choice"] = {**chosen, "disable_parallel_tool_use": True}


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    found = read_tool(tool)
    if found is None:
        return tool
    wire = {"name": found.name, "input_schema": found.parameters, **found.more}
    return {**wire, "description": found.description} if found.description else wire


def _choice(choice: Choice) -> dict[str, str]:
    if choice.mode == "tool":
        return {"type": "tool", "name": choice.name}
    return {"type": _MODES.get(choice.mode, choice.mode)}


def _turn(message: Message) -> tuple[str, Any]:
    """Return a message's role and content in Anthropic's words."""
    role, content = message["role"], message.get("content")
    if role == "tool" and "tool_call_id" in message:
        return "user", [blocks.tool_result(message["tool_call_id"], content or "")]
    calls = message.get("tool_calls") or ()
    role = "user" if role == "tool" else role
    if calls:
        return role, [*_blocks(content), *map(_tool_use, calls)]
    return role, content if isinstance(content, str) else _blocks(content)


def _tool_use(item: Mapping[str, Any]) -> dict[str, Any]:
    function = item["function"]
    call = read_call(item["id"], function["name"], function.get("arguments"))
    return blocks.tool_use(call.id, call.name, call.arguments)


def _blocks(content: Any) -> list[dict[str, Any]]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, Sequence):
        raise InputTypeError(
            f"a message's content is {type(content).__name__}; expected text or a list "
            "of blocks."
        )
    found = (_block(block) for block in content)
    return [block for block in found if block is not None]


def _block(block: Any) -> dict[str, Any] | None:
    """Put a block of ours or of OpenAI in Anthropic's words; its own are passed on.

    Empty texts and unsigned thinking, which the API refuses, are left out.
    """
    if isinstance(block, str):
        return {"type": "text", "text": block} if block else None
    kind = block["type"]
    if (convert := _CONVERSIONS.get(kind)) is not None:
        return convert(block)
    if kind not in _KEYS:
        return dict(block)
    needed = _NEEDED.get(kind)
    if needed is not None and not block.get(needed):
        return None
    return {"type": kind, **{k: block[k] for k in _KEYS[kind] if k in block}}


def _result(block: Mapping[str, Any]) -> dict[str, Any]:
    content = block["content"]
    wire = {k: v for k, v in block.items() if v is not False}
    return {
        **wire,
        "content": content if isinstance(content, str) else _blocks(content),
    }


def _own(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["_provider"] != "anthropic":
        raise InputValueError(
            f"a {block['_native_type']!r} block is {block['_provider']}'s own; "
            "Anthropic's API does not know it. Leave it out."
        )
    return dict(block["payload"])


def _from_image(block: Mapping[str, Any]) -> dict[str, Any]:
    image = block["image_url"]
    url = image if isinstance(image, str) else image["url"]
    return {"type": "image", "source": from_url(url)}


def _from_file(block: Mapping[str, Any]) -> dict[str, Any]:
    file = block["file"]
    if "file_data" not in file:
        raise InputValueError(
            "a 'file' block names a file at OpenAI, which Anthropic cannot read; pass "
            "blocks.document(path)."
        )
    title = {"title": file["filename"]} if file.get("filename") else {}
    return {"type": "document", "source": from_url(file["file_data"]), **title}


def _from_audio(_block: Mapping[str, Any]) -> dict[str, Any]:
    raise InputValueError("Anthropic's API takes no audio; send a transcript instead.")


_CONVERSIONS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    blocks.PROVIDER: _own,
    blocks.TOOL_RESULT: _result,
    "file": _from_file,
    "image_url": _from_image,
    "input_audio": _from_audio,
}
"""What becomes of other kinds of block, OpenAI's among them."""
