"""Events of Anthropic's streaming API, put together to the message they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

_DELTAS: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}
"""Kinds of delta, and the field of a block that each continues."""


class StreamedMessage:
    """A message put together from the events of a stream.

    Args:
        emit: Takes each piece of text as it comes.
    """

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}
        self.is_complete = False

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in the next event; unknown kinds are passed over."""
        kind = event.get("type")
        if kind == "message_start":
            self._message = dict(event["message"])
            self._usage.update(self._message.get("usage") or {})
        elif kind == "content_block_start":
            self._blocks[event["index"]] = dict(event["content_block"])
        elif kind == "content_block_delta":
            self._continue(event["index"], event["delta"])
        elif kind == "message_delta":
            self._message.update(event.get("delta") or {})
            self._usage.update(event.get("usage") or {})
        elif kind == "message_stop":
            self.is_complete = True

    def document(self) -> dict[str, Any]:
        """Return the message as it would have come in one piece."""
        for index, text in self._inputs.items():
            self._blocks[index]["input"] = _parsed(text)
        content = [block for _, block in sorted(self._blocks.items())]
        return {**self._message, "content": content, "usage": self._usage}

    def _continue(self, index: int, delta: Mapping[str, Any]) -> None:
        if delta["type"] == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
        elif (name := _DELTAS.get(delta["type"])) is not None:
            block = self._blocks[index]
            block[name] = (block.get(name) or "") + delta[name]
            if name == "text":
                self._emit(delta[name])


def _parsed(text: str) -> Any:
    """Return a tool's arguments, or the text itself where it is no JSON."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text
