"""Replies as JSON data, for caches and recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from afnio.models._messages import Reply, ToolCall
from afnio.models._usage import Usage


def encode_reply(reply: Reply, *, keep_parsed: bool = False) -> dict[str, Any]:
    """Return ``reply`` as JSON data.

    Args:
        reply: The reply; its parsed object is made again from the text when read.
        keep_parsed: Keep it nevertheless: embeddings have no text.
    """
    usage = {name: value for name, value in asdict(reply.usage).items() if value}
    usage.pop("cost_usd", None)
    data: dict[str, Any] = {
        "text": reply.text,
        "tool_calls": [asdict(tool_call) for tool_call in reply.tool_calls],
        "stop_reason": reply.stop_reason,
        "reasoning": reply.reasoning,
        "refusal": reply.refusal,
        "usage": usage,
        "cost_usd": str(reply.usage.cost_usd),
        "request_id": reply.request_id,
        "model": reply.model,
    }
    if reply.blocks:
        data["blocks"] = list(reply.blocks)
    if keep_parsed:
        data["parsed"] = reply.parsed
    return data


def decode_reply(data: Mapping[str, Any], *, cached: bool) -> Reply:
    """Return the reply that ``data`` describes.

    Args:
        data: As `encode_reply` made it.
        cached: A cached reply has cost nothing this time, so it has no usage.

    Raises:
        KeyError: A field is missing.
        TypeError: A field is of another kind.
    """
    usage = Usage()
    if not cached:
        usage = Usage(**data["usage"], cost_usd=Decimal(data["cost_usd"]))
    return Reply(
        data["text"],
        parsed=data.get("parsed"),
        tool_calls=tuple(ToolCall(**item) for item in data["tool_calls"]),
        stop_reason=data["stop_reason"],
        reasoning=data["reasoning"],
        refusal=data["refusal"],
        blocks=tuple(data.get("blocks", ())),
        usage=usage,
        request_id=data["request_id"],
        model=data["model"],
        cached=cached,
    )
