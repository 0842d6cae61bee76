"""Anthropic's models, on the official SDK; conversations in OpenAI's shape."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError, ReplyError
from afnio.models._anthropic_events import StreamedMessage
from afnio.models._faults import malformed
from afnio.models._messages import Message, Reply, Request, ToolCall
from afnio.models._sdk import Answer, SdkModel, read
from afnio.models._stream import Emit
from afnio.models._structured import is_class, json_schema, strict_schema
from afnio.models._usage import Usage

__all__ = ["Anthropic", "AsyncAnthropic"]

DEFAULT_MAX_TOKENS: Final = 4096
"""Reply tokens asked for when a call sets no maximum; the API demands one."""

_STOP_REASONS: Final = {
    "pause_turn": "pause",
    "model_context_window_exceeded": "max_tokens",
}
_SYSTEM_ROLES: Final = frozenset({"system", "developer"})


class Anthropic(SdkModel):
    """A client of Anthropic's Messages API, or of any server that has it.

    Messages and common arguments are OpenAI's: system messages, tools, tool results,
    ``max_completion_tokens``, ``stop``, ``response_format`` (a pydantic class or a JSON
    schema, held by the provider's constrained decoding) are put in Anthropic's words.
    Its own arguments and content blocks are passed on as they are. Calls without a
    maximum get ``max_tokens=4096``.

    Example:
        >>> from afnio.models.anthropic import Anthropic
        >>> client = Anthropic(api_key="sk-ant-example", model="claude-opus-5")
        >>> client.get_provider()
        'anthropic'
    """

    _package = "anthropic"
    _sdk_class = "AsyncAnthropic"
    _key_variable = "ANTHROPIC_API_KEY"
    _url_variable = "ANTHROPIC_BASE_URL"
    _default_url = "https://api.anthropic.com"

    default_max_tokens = DEFAULT_MAX_TOKENS

    async def _send(self, request: Request) -> Reply:
        answer = await self._post("/v1/messages", _payload(request), {})
        return _reply(answer, self._endpoint_name(request.model))

    async def _stream(self, request: Request, emit: Emit) -> Reply:
        message, who = StreamedMessage(emit), self._endpoint_name(request.model)
        request_id = await self._listen(
            "/v1/messages", _payload(request), {"stream": True}, message.add
        )
        if not message.is_complete:
            raise malformed(who, "the stream ended before the reply did")
        return _reply(Answer(message.document(), request_id), who)


class AsyncAnthropic(Anthropic):
    """The same client under the name that asynchronous programs know."""


def _payload(request: Request) -> dict[str, Any]:
    """Return the request in Anthropic's words.

    Raises:
        InputValueError: No model, or streaming was asked for.
    """
    args = dict(request.args)
    if not args.get("model"):
        raise InputValueError("no model named; pass model=… to the call or the client.")
    if args.get("stream"):
        raise InputValueError(
            "stream=True does not fit here; ask with astream() or stream()."
        )
    alias = args.pop("max_completion_tokens", None)
    if args.get("max_tokens") is None:
        args["max_tokens"] = DEFAULT_MAX_TOKENS if alias is None else alias
    if (stop := args.pop("stop", None)) is not None:
        args["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if "tools" in args:
        args["tools"] = [_tool(tool) for tool in args["tools"]]
    if isinstance(args.get("tool_choice"), str):
        args["tool_choice"] = _tool_choice(args["tool_choice"])
    _set_format(args)
    system = _system(request.messages)
    if system:
        args.setdefault("system", system)
    return {**args, "messages": list(_turns(request.messages))}


def _set_format(args: dict[str, Any]) -> None:
    """Ask for constrained decoding where a schema is given."""
    wanted = args.pop("response_format", None)
    schema = json_schema(wanted)
    if schema is None:
        return
    schema = strict_schema(schema) if is_class(wanted) else schema
    config = dict(args.get("output_config") or {})
    args["output_config"] = {
        **config,
        "format": {"type": "json_schema", "schema": schema},
    }


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put an OpenAI tool in Anthropic's words; its own are passed on."""
    function = tool.get("function")
    if tool.get("type") != "function" or function is None:
        return tool
    converted = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object"},
    }
    if function.get("description"):
        converted["description"] = function["description"]
    return converted


def _tool_choice(choice: str) -> dict[str, str]:
    return {"type": "any" if choice == "required" else choice}


def _system(messages: Sequence[Message]) -> str | list[dict[str, Any]]:
    """Return all system messages as one text, or as blocks if any has blocks."""
    contents = [m.get("content") for m in messages if m["role"] in _SYSTEM_ROLES]
    if all(isinstance(content, str) for content in contents):
        return "\n\n".join(map(str, contents))
    return [block for content in contents for block in _blocks(content)]


def _turns(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """Yield user and assistant turns; neighbours of one role become one turn."""
    turns = [_turn(m) for m in messages if m["role"] not in _SYSTEM_ROLES]
    if not turns:
        raise InputValueError(
            "the conversation has system messages only; Anthropic needs a user message."
        )
    for role, group in groupby(turns, key=lambda turn: turn[0]):
        contents = [content for _, content in group]
        if len(contents) == 1:
            yield {"role": role, "content": contents[0]}
        else:
            blocks = [block for content in contents for block in _blocks(content)]
            yield {"role": role, "content": blocks}


def _turn(message: Message) -> tuple[str, Any]:
    """Return a message's role and content in Anthropic's words."""
    role, content = message["role"], message.get("content")
    if role == "tool":
        result = {
            "type": "tool_result",
            "tool_use_id": message.get("tool_call_id"),
            "content": content if isinstance(content, str) else _blocks(content),
        }
        return "user", [result]
    calls = message.get("tool_calls") or ()
    if calls:
        return role, [*_blocks(content), *map(_tool_use, calls)]
    return role, content if isinstance(content, str) else _blocks(content)


def _tool_use(item: Mapping[str, Any]) -> dict[str, Any]:
    function = item["function"]
    arguments = function.get("arguments") or "{}"
    return {
        "type": "tool_use",
        "id": item["id"],
        "name": function["name"],
        "input": json.loads(arguments) if isinstance(arguments, str) else arguments,
    }


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
    return [_block(block) for block in content]


def _block(block: Any) -> dict[str, Any]:
    """Put an OpenAI block in Anthropic's words; its own are passed on."""
    if isinstance(block, str):
        return {"type": "text", "text": block}
    if block.get("type") != "image_url":
        return dict(block)
    image = block["image_url"]
    url = image if isinstance(image, str) else image["url"]
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    head, _, data = url.partition(",")
    media_type = head.removeprefix("data:").removesuffix(";base64")
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def _reply(answer: Answer, who: str) -> Reply:
    message, content = answer.data, answer.data.get("content")
    if not isinstance(content, list):
        raise malformed(who, f"expected a message, got {shorten(message)!r}")
    reason = message.get("stop_reason") or "end_turn"
    reason = _STOP_REASONS.get(reason, reason)
    texts = [read(block, "text") or "" for block in _of_type(content, "text")]
    calls = tuple(map(_tool_call, _of_type(content, "tool_use")))
    if not content and reason == "end_turn":
        raise malformed(who, "it has no content")
    thoughts = [read(b, "thinking") or "" for b in _of_type(content, "thinking")]
    text = "".join(texts) if texts else None
    return Reply(
        None if reason == "refusal" else text,
        refusal=text if reason == "refusal" else None,
        tool_calls=calls,
        stop_reason=reason,
        reasoning="".join(thoughts) or None,
        usage=_usage(message.get("usage")),
        request_id=answer.request_id,
        model=message.get("model"),
    )


def _of_type(content: Sequence[Any], kind: str) -> Iterator[Any]:
    return (block for block in content if read(block, "type") == kind)


def _tool_call(block: Any) -> ToolCall:
    arguments = read(block, "input")
    if not isinstance(arguments, Mapping):
        raise ReplyError(
            f"the arguments of the call of tool {read(block, 'name')!r} are no object: "
            f"{shorten(arguments)!r}",
            reply=str(arguments),
        )
    return ToolCall(read(block, "id") or "", read(block, "name") or "", dict(arguments))


def _usage(usage: Any) -> Usage:
    """Count cached tokens among the input, as everywhere else in afnio."""
    cached = read(usage, "cache_read_input_tokens") or 0
    written = read(usage, "cache_creation_input_tokens") or 0
    details = read(usage, "output_tokens_details")
    return Usage(
        input_tokens=(read(usage, "input_tokens") or 0) + cached + written,
        output_tokens=read(usage, "output_tokens") or 0,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=read(details, "thinking_tokens") or 0,
    )
