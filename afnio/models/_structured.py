"""Typed replies: from a ``response_format`` to a schema, from a text to an object."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from afnio._text import cut_middle, fence, fill, shorten
from afnio.errors import ReplyError
from afnio.models._keys import class_schema
from afnio.models._messages import Reply, Request
from afnio.models._prompts import REPLY_REPAIR

Ask: TypeAlias = Callable[[Request], Awaitable[Reply]]

_FENCE: Final = re.compile(r"^```[\w-]*\s*\n(.*?)\n?\s*```$", re.DOTALL)
_THINKING: Final = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_STARTS: Final = 20
"""Braces in prose at which an object may begin."""

_SHOWN: Final = 4_000
"""Characters of an unusable reply that the model is shown again."""

_SELF_REPAIRING: Final = frozenset({"critic", "judge", "optimizer"})
_LASTING: Final = frozenset({"refusal", "content_filter", "max_tokens"})
"""Reasons to stop that the same question meets again."""

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
    if not _wants_object(wanted, reply):
        return reply
    if is_class(wanted):
        return replace(reply, parsed=_instance(wanted, reply))
    try:
        return replace(reply, parsed=_document(reply.text))
    except ReplyError:
        return reply


async def parsed(reply: Reply, request: Request, ask: Ask) -> Reply:
    """Return ``reply`` with the object its text holds; ask once more if it has none.

    The second question shows the reply and what is wrong with it. Critics, judges and
    optimizers check more than the format, and ask again themselves.

    Args:
        reply: What came back.
        request: What was asked.
        ask: Answers a request, through the call path.

    Raises:
        ReplyError: A pydantic class was asked for, and neither reply fits it.

    Model calls: 0 or 1.
    """
    wanted = request.args.get("response_format")
    if not _wants_object(wanted, reply):
        return reply
    read = _instance if is_class(wanted) else lambda _wanted, said: _document(said.text)
    try:
        return replace(reply, parsed=read(wanted, reply))
    except ReplyError as error:
        if not _is_curable(reply, request):
            return with_parsed(reply, request)
        again = await ask(_repair(reply, request, error))
    return with_parsed(replace(again, usage=reply.usage + again.usage), request)


def _wants_object(wanted: Any, reply: Reply) -> bool:
    if wanted is None or reply.parsed is not None or reply.tool_calls:
        return False
    is_json = isinstance(wanted, Mapping) and str(wanted.get("type", "")).startswith(
        "json"
    )
    return is_json or is_class(wanted)


def _is_curable(reply: Reply, request: Request) -> bool:
    """Whether asking again may help: not after a refusal, nor if the limit cut it."""
    return (
        reply.text is not None
        and request.role not in _SELF_REPAIRING
        and reply.stop_reason not in _LASTING
    )


def _repair(reply: Reply, request: Request, error: ReplyError) -> Request:
    schema = json_schema(request.args["response_format"])
    wanted = "any JSON object" if schema is None else json.dumps(schema, indent=1)
    words = {
        "reason": fence(str(error), "reason"),
        "schema": fence(wanted, "schema"),
    }
    said = cut_middle(reply.text or "(nothing)", _SHOWN)
    turns = (
        {"role": "assistant", "content": said},
        {"role": "user", "content": fill(REPLY_REPAIR, words)},
    )
    return replace(request, messages=(*request.messages, *turns))


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


def _document(text: str | None, what: str = "JSON") -> Any:
    try:
        return json.loads(extract_json(text or ""))
    except ValueError as error:
        said = shorten(text or "") or "nothing"
        raise ReplyError(f"expected {what}, got: {said} ({error}).", reply=text) from (
            error
        )


def json_object(text: str | None) -> dict[str, Any]:
    """Return the JSON object in a reply: all of it, fenced, or the first in prose.

    Raises:
        ReplyError: There is none.
    """
    found = _document(text, "one JSON object")
    if not isinstance(found, dict):
        raise ReplyError(
            f"expected one JSON object, got a {type(found).__name__}: "
            f"{shorten(text or '')}.",
            reply=text,
        )
    return found


def extract_json(text: str) -> str:
    """Return the JSON in ``text``: all of it, inside a fence, or the first object.

    Thinking that a model shows before it is passed over. Text without JSON is returned
    as it is.
    """
    stripped = _THINKING.sub("", text, count=1).strip()
    if fenced := _FENCE.match(stripped):
        stripped = fenced.group(1).strip()
    if _is_json(stripped):
        return stripped
    decoder, start = json.JSONDecoder(), -1
    for _ in range(_STARTS):
        if (start := stripped.find("{", start + 1)) < 0:
            break
        try:
            _, end = decoder.raw_decode(stripped, start)
        except (ValueError, RecursionError):
            continue
        return stripped[start:end]
    return stripped


def _is_json(text: str) -> bool:
    if text[:1] not in ("{", "[", '"'):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
