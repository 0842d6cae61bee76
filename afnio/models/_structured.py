"""Typed replies: from a ``response_format`` to a schema, from a text to an object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import ReplyError
from afnio.models._keys import class_schema
from afnio.models._messages import Reply, Request

_FENCE: Final = re.compile(r"^\s*```[\w-]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
_NAMED: Final = frozenset({"properties", "$defs", "definitions"})
"""Keywords whose value maps names, not keywords, to schemas."""


def is_class(response_format: Any) -> bool:
    """Whether a ``response_format`` is a pydantic class."""
    return isinstance(response_format, type) and hasattr(
        response_format, "model_validate_json"
    )


def json_schema(response_format: Any) -> Mapping[str, Any] | None:
    """Return the JSON schema a ``response_format`` asks for, if it has one."""
    if is_class(response_format):
        return class_schema(response_format)
    if not isinstance(response_format, Mapping):
        return None
    if response_format.get("type") == "json_schema":
        schema = response_format.get("json_schema", {}).get("schema")
        return schema if isinstance(schema, Mapping) else None
    if response_format.get("type") == "json_object":
        schema = response_format.get("schema")
        return schema if isinstance(schema, Mapping) else None
    return None


def wire_format(response_format: Any) -> Any:
    """Return the OpenAI form of a ``response_format``; dicts are passed verbatim."""
    if not is_class(response_format):
        return response_format
    return {
        "type": "json_schema",
        "json_schema": {
            "name": response_format.__name__,
            "schema": strict_schema(class_schema(response_format)),
            "strict": True,
        },
    }


def strict_schema(schema: Any) -> Any:
    """Return a copy of ``schema`` in which objects are closed and every field required.

    That is the subset that providers' constrained decoding accepts.
    """
    if isinstance(schema, list):
        return [strict_schema(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {
        key: _strict_each(value) if key in _NAMED else strict_schema(value)
        for key, value in schema.items()
        if key != "default"
    }
    if "properties" in closed:
        closed["additionalProperties"] = False
        closed["required"] = list(closed["properties"])
    return closed


def _strict_each(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: strict_schema(schema) for name, schema in named.items()}


def with_parsed(reply: Reply, request: Request) -> Reply:
    """Return ``reply`` with the object its text holds, if one was asked for.

    Raises:
        ReplyError: A pydantic class was asked for, and the text does not fit it.
    """
    wanted = request.args.get("response_format")
    if wanted is None or reply.parsed is not None or reply.tool_calls:
        return reply
    if is_class(wanted):
        return replace(reply, parsed=_instance(wanted, reply))
    if isinstance(wanted, Mapping) and str(wanted.get("type", "")).startswith("json"):
        return replace(reply, parsed=_lenient(reply.text))
    return reply


def _instance(model: Any, reply: Reply) -> Any:
    if reply.text is None or reply.stop_reason in ("refusal", "content_filter"):
        raise ReplyError(
            f"the model gave no {model.__name__}: it stopped with "
            f"{reply.stop_reason!r}. Text: {shorten(reply.text or '')!r}",
            reply=reply.text,
        )
    from pydantic import ValidationError

    try:
        return model.model_validate_json(extract_json(reply.text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the reply"
        raise ReplyError(
            f"the reply does not fit {model.__name__}: {where}: "
            f"{shorten(first['msg'])} (stop reason {reply.stop_reason!r}). "
            f"Text: {shorten(reply.text)!r}",
            reply=reply.text,
        ) from error


def _lenient(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(extract_json(text))
    except ValueError:
        return None


def extract_json(text: str) -> str:
    """Return the JSON in ``text``: all of it, inside a fence, or the first object."""
    if fenced := _FENCE.match(text):
        text = fenced.group(1)
    stripped = text.strip()
    if stripped[:1] in ("{", "[", '"'):
        return stripped
    start = stripped.find("{")
    if start < 0:
        return stripped
    try:
        _, end = json.JSONDecoder().raw_decode(stripped, start)
    except ValueError:
        return stripped
    return stripped[start:end]
