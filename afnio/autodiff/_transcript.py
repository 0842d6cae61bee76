"""Messages as text, for critics, evidence and people: what blocks look like in words.

Pure: nothing here asks a model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from afnio._text import fence, shorten


def readable(message: Mapping[str, Any]) -> dict[str, str]:
    """Return a message with its blocks in words; text stays as it is."""
    content = message.get("content")
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    return {"role": message["role"], "content": in_words(content)}


def in_words(content: Any) -> str:
    """Write content as text: media and calls of tools are described."""
    if content is None:
        return ""
    if isinstance(content, Mapping):
        return "\n".join(_lines(content))
    if isinstance(content, (list, tuple)):
        return "\n".join(line for block in content for line in _lines(block))
    return str(content)


def _lines(block: Any) -> Iterator[str]:
    if not isinstance(block, Mapping):
        yield in_words(block)
        return
    kind = block.get("type")
    if kind == "text":
        yield str(block["text"])
    elif kind == "thinking":
        yield f"(thinks: {block['thinking']})"
    elif kind == "tool_use":
        yield f"(calls the tool {block['name']} with {_json(block['input'])})"
    elif kind == "tool_result":
        verdict = "an error" if block.get("is_error") else "a result"
        yield f"(the tool call returned {verdict})"
        yield fence(in_words(block["content"]), "tool_output")
    else:
        yield f"({_media(block)})"


def _media(block: Mapping[str, Any]) -> str:
    """Describe a block that is not text: what it is, and how large."""
    source = block.get("source")
    facts = [str(block.get("type"))]
    if isinstance(source, Mapping):
        facts.append(str(source.get("media_type") or source.get("type") or ""))
        data = source.get("data")
        if isinstance(data, str):
            facts.append(f"{len(data)} characters of data")
        elif "url" in source:
            facts.append(shorten(source["url"]))
    return ", ".join(fact for fact in facts if fact)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def declared(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return one message that shows which tools the model had; none without tools."""
    if not tools:
        return []
    lines = [
        f"{tool['name']}: {tool['description']}\n"
        f"parameters: {_json(tool['parameters'])}"
        for tool in tools
    ]
    return [{"role": "tools", "content": "\n\n".join(lines)}]
