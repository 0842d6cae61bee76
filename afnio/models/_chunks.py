"""Chunks of OpenAI's streaming API, which llama.cpp speaks as well, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def ignore(_piece: str) -> None:
    """Take a piece of text and do nothing."""


@dataclass(slots=True)
class Assembled:
    """A reply put together from the chunks of a stream."""

    emit: Callable[[str], None] = ignore
    """Takes each piece of text as it comes."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    tools: dict[int, dict[str, str]] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    id: str | None = None
    model: str | None = None

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take in the next chunk."""
        if "error" in chunk:
            self.error = chunk["error"]
            return
        self.id = chunk.get("id", self.id)
        self.model = chunk.get("model") or self.model
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices", ()):
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            self._add_delta(choice.get("delta") or {})

    def completion(self) -> dict[str, Any]:
        """Return the reply as it would have come in one piece."""
        message = {
            "content": "".join(self.texts) or None,
            "reasoning_content": "".join(self.thoughts) or None,
            "refusal": "".join(self.refusals) or None,
            "tool_calls": [
                {"id": tool["id"], "function": tool}
                for _, tool in sorted(self.tools.items())
            ],
        }
        choice = {"message": message, "finish_reason": self.finish_reason}
        return {"choices": [choice], "usage": self.usage, "model": self.model}

    def _add_delta(self, delta: Mapping[str, Any]) -> None:
        text = delta.get("content") or ""
        self.texts.append(text)
        self.emit(text)
        self.thoughts.append(delta.get("reasoning_content") or "")
        self.refusals.append(delta.get("refusal") or "")
        for part in delta.get("tool_calls") or ():
            tool = self.tools.setdefault(
                part.get("index", 0), {"id": "", "name": "", "arguments": ""}
            )
            tool["id"] += part.get("id") or ""
            for name in ("name", "arguments"):
                tool[name] += part.get("function", {}).get(name) or ""
