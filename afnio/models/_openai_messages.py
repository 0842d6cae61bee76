"""Conversations in the words of OpenAI's chat API, which llama.cpp speaks as well."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from afnio._text import fence
from afnio.errors import InputTypeError, InputValueError
from afnio.models import blocks
from afnio.models._media import data_url
from afnio.models._messages import Message
from afnio.models._tools import Choice, read_choice, read_tool, tool_names


def wire_messages(messages: Sequence[Message]) -> Sequence[Any]:
    """Return ``messages`` as the API wants them; those without blocks unchanged."""
    if all(isinstance(message.get("content"), str) for message in messages):
        return messages
    return [wire for message in messages for wire in _messages(message)]


def wire_tools(args: dict[str, Any]) -> None:
    """Put ``tools`` and ``tool_choice`` of ``args`` in OpenAI's words, in place."""
    names = []
    if args.get("tools") is not None:
        names = tool_names(args["tools"])
        args["tools"] = [_tool(tool) for tool in args["tools"]]
    if args.get("tool_choice") is not None:
        choice = read_choice(args["tool_choice"], names)
        args["tool_choice"] = _choice(choice) if choice else args["tool_choice"]


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    found = read_tool(tool)
    if found is None:
        return tool
    function = {"name": found.name, "parameters": found.parameters, **found.more}
    if found.description:
        function["description"] = found.description
    function.pop("cache_control", None)
    return {"type": "function", "function": function}


def _choice(choice: Choice) -> Any:
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _messages(message: Message) -> Iterator[dict[str, Any]]:
    """Yield tool results as messages of their own, then what else it holds."""
    content = message.get("content")
    if not isinstance(content, Sequence) or isinstance(content, str):
        _refuse_content(content)
        yield dict(message)
        return
    kinds = [_kind(block) for block in content]
    for kind, block in zip(kinds, content, strict=True):
        if kind == blocks.TOOL_RESULT:
            yield _result(block)
    calls = [b for k, b in zip(kinds, content, strict=True) if k == blocks.TOOL_USE]
    apart = (blocks.TOOL_RESULT, blocks.TOOL_USE)
    rest = [b for k, b in zip(kinds, content, strict=True) if k not in apart]
    if rest or calls or not content:
        yield _turn(message, rest, calls)


def _refuse_content(content: Any) -> None:
    if content is not None and not isinstance(content, str):
        raise InputTypeError(
            f"a message's content is {type(content).__name__}; expected text or a list "
            "of blocks."
        )


def _kind(block: Any) -> str:
    return "text" if isinstance(block, str) else str(block["type"])


def _turn(
    message: Message, content: Sequence[Any], calls: Sequence[Any]
) -> dict[str, Any]:
    parts = [part for block in content if (part := _part(block)) is not None]
    turn = {k: v for k, v in message.items() if k != "content"}
    if calls:
        turn["tool_calls"] = [*turn.get("tool_calls", ()), *map(_call, calls)]
    if message["role"] == "assistant" and all(p["type"] == "text" for p in parts):
        said = "".join(part["text"] for part in parts)
        return {**turn, "content": said or (None if turn.get("tool_calls") else "")}
    return {**turn, "content": parts}


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(block["input"], ensure_ascii=False)
    function = {"name": block["name"], "arguments": arguments}
    return {"id": block["id"], "type": "function", "function": function}


def _result(block: Mapping[str, Any]) -> dict[str, Any]:
    content = block["content"]
    if not isinstance(content, str):
        parts = [_part(part) for part in content or ()]
        for part in parts:
            if part is not None and part["type"] != "text":
                raise InputValueError(
                    "a tool result holds an image or a file, and OpenAI's chat API "
                    "takes only text there; put it into a user message after it."
                )
        content = "\n".join(part["text"] for part in parts if part)
    if block.get("is_error"):
        content = f"Error: {content}"
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": content}


def _part(block: Any) -> Mapping[str, Any] | None:
    """Return a block in OpenAI's words, None where it has none; its own stay."""
    if isinstance(block, str):
        return {"type": "text", "text": block}
    convert = _CONVERSIONS.get(block["type"])
    if convert is not None:
        return convert(block)
    return {k: v for k, v in block.items() if k != "cache_control"}


def _text(block: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": block["text"]}


def _image(block: Mapping[str, Any]) -> dict[str, Any]:
    detail = {"detail": block["detail"]} if block.get("detail") else {}
    url = data_url(block["source"])
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _document(block: Mapping[str, Any]) -> dict[str, Any]:
    source, title = block["source"], block.get("title")
    kind = source.get("type")
    if kind == "text":
        heading = f"{title}:\n" if title else ""
        return {"type": "text", "text": heading + fence(source["data"], "document")}
    if kind == "file":
        return {"type": "file", "file": {"file_id": source["file_id"]}}
    if kind == "base64":
        file = {"filename": title or "document.pdf", "file_data": data_url(source)}
        return {"type": "file", "file": file}
    raise InputValueError(
        f"OpenAI's chat API takes no document by {kind!r}; download it, and pass "
        "blocks.document(path) or blocks.document(data)."
    )


def _own(block: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if block["_native_type"] in _THOUGHTS:
        return None
    if block["_provider"] != "openai":
        raise InputValueError(
            f"a {block['_native_type']!r} block is {block['_provider']}'s own, and "
            "OpenAI's chat API does not know it. Leave it out."
        )
    payload: Mapping[str, Any] = block["payload"]
    return payload


def _nothing(_block: Mapping[str, Any]) -> None:
    return None


_THOUGHTS: Final = frozenset({blocks.THINKING, "redacted_thinking"})
"""Kinds of block that the API has no place for; models do without."""

_CONVERSIONS: Final[Mapping[str, Callable[[Any], Mapping[str, Any] | None]]] = {
    **dict.fromkeys(_THOUGHTS, _nothing),
    blocks.DOCUMENT: _document,
    blocks.IMAGE: _image,
    blocks.PROVIDER: _own,
    blocks.TEXT: _text,
}
"""What becomes of each kind of block."""
