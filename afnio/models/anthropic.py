"""Anthropic's models, on the official SDK; conversations in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import InputValueError, ServerError
from afnio.models import blocks
from afnio.models._answers import Answer, read, read_text
from afnio.models._anthropic_batch import AnthropicBatches
from afnio.models._anthropic_events import StreamedMessage
from afnio.models._anthropic_messages import set_tools, system_of, turns_of
from afnio.models._client_settings import check_model
from afnio.models._faults import malformed
from afnio.models._messages import Reply, Request, ToolCall
from afnio.models._sdk import SdkModel
from afnio.models._stream import Emit
from afnio.models._structured import is_class, json_schema, strict_schema
from afnio.models._tools import read_call
from afnio.models._usage import Usage, count

__all__ = ["Anthropic", "AsyncAnthropic"]

DEFAULT_MAX_TOKENS: Final = 4096
"""Reply tokens asked for when a call sets no maximum; the API demands one."""

_STOP_REASONS: Final = {
    "pause_turn": "pause",
    "model_context_window_exceeded": "max_tokens",
}


class Anthropic(SdkModel):
    """A client of Anthropic's Messages API, or of any server that has it.

    Messages and common arguments are OpenAI's: system messages, tools, tool results,
    ``max_completion_tokens``, ``stop``, ``response_format`` (a pydantic class or a JSON
    schema, held by the provider's constrained decoding) are put in Anthropic's words.
    Its own arguments and content blocks are passed on as they are. Calls without a
    maximum get ``max_tokens=4096``.

    Examples:
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

    @cached_property
    def _batch_api(self) -> AnthropicBatches:
        return AnthropicBatches(self)

    def _body(self, request: Request) -> dict[str, Any]:
        """Return the whole request as one JSON object."""
        return self._in_body(_payload(request))

    def _batch_reply(self, answer: Answer) -> Reply:
        return replace(_reply(answer, "a batch"), batched=True)

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
    check_model(args)
    if args.get("stream"):
        raise InputValueError(
            "stream=True does not fit here; ask with astream() or stream()."
        )
    alias = args.pop("max_completion_tokens", None)
    if args.get("max_tokens") is None:
        args["max_tokens"] = DEFAULT_MAX_TOKENS if alias is None else alias
    if (stop := args.pop("stop", None)) is not None:
        args["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    set_tools(args)
    _set_format(args)
    system = system_of(request.messages)
    if system:
        args.setdefault("system", system)
    return {**args, "messages": list(turns_of(request.messages))}


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


def _reply(answer: Answer, who: str) -> Reply:
    try:
        return _read(answer, who)
    except ServerError as error:
        error.usage = _usage(answer.data.get("usage"))
        raise


def _read(answer: Answer, who: str) -> Reply:
    message, content = answer.data, answer.data.get("content")
    if not isinstance(content, list):
        raise malformed(who, f"expected a message, got {shorten(message)!r}")
    reason = read_text(message, "stop_reason", who) or "end_turn"
    reason = _STOP_REASONS.get(reason, reason)
    texts = [read_text(b, "text", who) or "" for b in _of_type(content, "text")]
    calls = tuple(_tool_call(b, who) for b in _of_type(content, "tool_use"))
    if not content and reason == "end_turn":
        raise malformed(who, "it has no content")
    thoughts = [
        read_text(b, "thinking", who) or "" for b in _of_type(content, "thinking")
    ]
    text = "".join(texts) if texts else None
    model = message.get("model")
    return Reply(
        None if reason == "refusal" else text,
        refusal=text if reason == "refusal" else None,
        tool_calls=calls,
        stop_reason=reason,
        reasoning="".join(thoughts) or None,
        blocks=_kept(content),
        usage=_usage(message.get("usage")),
        request_id=answer.request_id,
        model=None if model is None else str(model),
    )


def _tool_call(block: Any, who: str) -> ToolCall:
    if not (name := read_text(block, "name", who)):
        raise malformed(who, f"a tool call names no tool: {block!r}")
    return read_call(read(block, "id"), name, read(block, "input"))


def _of_type(content: Sequence[Any], kind: str) -> Iterator[Any]:
    return (block for block in content if read(block, "type") == kind)


def _kept(content: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the content as blocks if it holds more than text and tool calls."""
    if all(read(block, "type") in ("text", "tool_use") for block in content):
        return ()
    return tuple(_neutral(block) for block in content if read(block, "type"))


def _neutral(block: Mapping[str, Any]) -> Mapping[str, Any]:
    if block["type"] == "text":
        return blocks.text(block.get("text") or "")
    if block["type"] == "thinking":
        return blocks.thinking(
            block.get("thinking") or "", signature=block.get("signature")
        )
    if block["type"] == "tool_use":
        call = read_call(block.get("id"), block.get("name"), block.get("input"))
        return blocks.tool_use(call.id, call.name, call.arguments)
    return blocks.provider("anthropic", block)


def _usage(usage: Any) -> Usage:
    """Count cached tokens among the input, as everywhere else in afnio."""
    details = read(usage, "output_tokens_details")
    try:
        cached = count(read(usage, "cache_read_input_tokens"))
        written = count(read(usage, "cache_creation_input_tokens"))
        return Usage(
            input_tokens=count(read(usage, "input_tokens")) + cached + written,
            output_tokens=count(read(usage, "output_tokens")),
            cached_tokens=cached,
            cache_write_tokens=written,
            reasoning_tokens=count(read(details, "thinking_tokens")),
        )
    except InputValueError:
        return Usage()  # nonsense counts as if nothing was reported
