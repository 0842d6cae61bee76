"""OpenAI, and every server that speaks its language, on the official SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from afnio._dispatch import call_user, on_loop
from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError, ServerError
from afnio.models._answers import Answer, read, read_list, read_text
from afnio.models._call import call
from afnio.models._chunks import Assembled
from afnio.models._client_settings import check_model, checked_key
from afnio.models._faults import malformed
from afnio.models._messages import Reply, Request, ToolCall
from afnio.models._openai_batch import OpenAIBatches
from afnio.models._openai_messages import wire_messages, wire_tools
from afnio.models._scopes import effective_role
from afnio.models._sdk import SdkModel
from afnio.models._stream import Emit
from afnio.models._structured import wire_format
from afnio.models._tools import read_call
from afnio.models._usage import Usage
from afnio.models.model import EmbeddingModel, TextCompletionModel

__all__ = ["AsyncOpenAI", "OpenAI"]

_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
}


class OpenAI(SdkModel, TextCompletionModel, EmbeddingModel):
    """A client of OpenAI, or of any server with its API (``base_url=…``).

    Every method works blocking and, with an ``a`` before its name, awaited. Arguments
    of calls are the SDK's, passed on as they are; ``response_format`` may also be a
    pydantic class, whose instance is then in ``Reply.parsed``.

    Examples:
        >>> from afnio.models.openai import OpenAI
        >>> client = OpenAI(api_key="sk-example", model="gpt-4o")
        >>> client.get_provider()
        'openai'
    """

    _package = "openai"
    _sdk_class = "AsyncOpenAI"
    _key_variable = "OPENAI_API_KEY"
    _url_variable = "OPENAI_BASE_URL"
    _default_url = "https://api.openai.com/v1"

    async def acomplete(self, prompt: str, **args: Any) -> str:
        """Return the continuation of ``prompt``, through the one call path."""
        if not isinstance(prompt, str):
            raise InputTypeError(f"prompt is {type(prompt).__name__}; expected str.")
        reply = await self._through({"content": prompt}, "completion", args)
        return reply.text or ""

    async def aembed(self, input: Sequence[str], **args: Any) -> list[list[float]]:  # noqa: A002
        """Return one vector per text, in order, through the one call path."""
        if isinstance(input, str):
            raise InputTypeError("input is a str; expected a list of texts.")
        if not input:
            return []
        reply = await self._through({"content": list(input)}, "embedding", args)
        return [list(vector) for vector in reply.parsed]

    async def _through(self, message: Any, kind: Any, args: dict[str, Any]) -> Reply:
        use_cache = args.pop("cache", True)
        request = Request(
            messages=(message,),
            role=effective_role(args.pop("role", "forward")),
            sample_index=args.pop("sample_index", 0),
            args=self._arguments(args),
            kind=kind,
        )
        send = self._complete if kind == "completion" else self._embed
        return await on_loop(call(self, request, send, use_cache=use_cache))

    @cached_property
    def _batch_api(self) -> OpenAIBatches:
        return OpenAIBatches(self)

    def _body(self, request: Request) -> dict[str, Any]:
        """Return the whole request as one JSON object."""
        return {
            **self._in_body(_wire(request.args)),
            "messages": wire_messages(request.messages),
        }

    def _batch_reply(self, answer: Answer) -> Reply:
        return replace(_chat_reply(answer, "a batch"), batched=True)

    async def _send(self, request: Request) -> Reply:
        answer = await self._post(
            "/chat/completions",
            _wire(request.args),
            {"messages": wire_messages(request.messages)},
        )
        return _chat_reply(answer, self._endpoint_name(request.model))

    async def _stream(self, request: Request, emit: Emit) -> Reply:
        options = {"include_usage": True, **request.args.get("stream_options", {})}
        body = {
            "messages": wire_messages(request.messages),
            "stream": True,
            "stream_options": options,
        }
        answer, who = Assembled(emit), self._endpoint_name(request.model)
        request_id = await self._listen(
            "/chat/completions", _wire(request.args), body, answer.add
        )
        if answer.finish_reason is None:
            raise malformed(who, "the stream ended before the reply did")
        return _chat_reply(Answer(answer.completion(), request_id), who)

    async def _complete(self, request: Request) -> Reply:
        answer = await self._post(
            "/completions",
            _wire(request.args),
            {"prompt": request.messages[0]["content"]},
        )
        who = self._endpoint_name(request.model)
        choice = _first_choice(answer, who)
        return _reply(
            answer,
            read_text(choice, "text", who) or "",
            stop_reason=_stop_reason(choice, who),
        )

    async def _embed(self, request: Request) -> Reply:
        texts = request.messages[0]["content"]
        args = {"encoding_format": "float", **_wire(request.args)}
        answer = await self._post("/embeddings", args, {"input": texts})
        rows = answer.data.get("data")
        if not isinstance(rows, list) or len(rows) != len(texts):
            raise malformed(
                self._endpoint_name(request.model),
                f"expected {len(texts)} vectors, got {shorten(answer.data)}",
            )
        try:
            ordered = sorted(rows, key=lambda row: row["index"])
            vectors = [[float(x) for x in row["embedding"]] for row in ordered]
        except (KeyError, TypeError, ValueError) as error:
            raise malformed(
                self._endpoint_name(request.model),
                f"expected vectors of numbers, got {shorten(answer.data)}",
            ) from error
        return _reply(answer, None, parsed=vectors)

    def _connect(self) -> Any:
        key = self._key.reveal()
        if callable(key):

            async def refreshed() -> str:
                fresh = str(await call_user(key))
                return str(checked_key(type(self).__name__, fresh, "of api_key()"))

            return super()._connect().with_options(api_key=refreshed)
        return super()._connect()


class AsyncOpenAI(OpenAI):
    """The same client under the name that asynchronous programs know."""


def _wire(args: Any) -> dict[str, Any]:
    """Return the arguments in the SDK's words.

    Raises:
        InputValueError: No model, or streaming was asked for.
    """
    check_model(args)
    if args.get("stream"):
        raise InputValueError(
            "stream=True does not fit here; ask with astream() or stream()."
        )
    wire = dict(args)
    wire_tools(wire)
    if "response_format" in wire:
        wire["response_format"] = wire_format(wire["response_format"])
    return wire


def _reply(answer: Answer, text: str | None, **more: Any) -> Reply:
    return Reply(
        text,
        usage=Usage.reported(answer.data.get("usage")),
        request_id=answer.request_id,
        model=_name(answer.data.get("model")),
        **more,
    )


def _first_choice(answer: Answer, who: str) -> Any:
    choices = answer.data.get("choices")
    if not isinstance(choices, list):
        raise malformed(who, f"expected a completion, got {shorten(answer.data)!r}")
    if not choices:
        raise malformed(who, "it has no choices")
    return choices[0]


def _chat_reply(answer: Answer, who: str) -> Reply:
    try:
        return _read_chat(answer, who)
    except ServerError as error:
        error.usage = Usage.reported(answer.data.get("usage"))
        raise


def _read_chat(answer: Answer, who: str) -> Reply:
    choice = _first_choice(answer, who)
    message = read(choice, "message")
    text = read_text(message, "content", who)
    refusal = read_text(message, "refusal", who)
    calls = tuple(_tool_call(c, who) for c in read_list(message, "tool_calls", who))
    reason = "refusal" if refusal else _stop_reason(choice, who)
    if text is None and not calls and reason == "end_turn":
        raise malformed(who, "neither content, nor a tool call, nor a refusal")
    return _reply(
        answer,
        text,
        refusal=refusal,
        tool_calls=calls,
        stop_reason=reason,
        reasoning=_thoughts(message),
    )


def _name(model: Any) -> str | None:
    return model if isinstance(model, str) else None


def _thoughts(message: Any) -> str | None:
    found = read(message, "reasoning_content") or read(message, "reasoning")
    return found if isinstance(found, str) else None


def _stop_reason(choice: Any, who: str) -> str:
    reason = read_text(choice, "finish_reason", who) or "stop"
    return _STOP_REASONS.get(reason, reason)


def _tool_call(item: Any, who: str) -> ToolCall:
    function = read(item, "function")
    if not (name := read_text(function, "name", who)):
        raise malformed(who, f"a tool call names no tool: {item!r}")
    return read_call(read(item, "id"), name, read(function, "arguments"))
