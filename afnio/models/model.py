"""The three kinds of clients of language models.

A provider overrides `ChatCompletionModel._send` (one attempt); everything else, from
the cache to the bill, is the one call path of `afnio.models._call`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from afnio._dispatch import in_thread, on_loop, run_sync
from afnio.models._base import BaseModel
from afnio.models._call import call
from afnio.models._messages import (
    Messages,
    Reply,
    Request,
    check_arguments,
    checked,
)
from afnio.models._scopes import effective_role
from afnio.models._stream import Emit, Stream, streamed

__all__ = [
    "BaseModel",
    "ChatCompletionModel",
    "EmbeddingModel",
    "TextCompletionModel",
]


class ChatCompletionModel(BaseModel):
    """A model that continues a conversation.

    A subclass overrides ``_send``, or simply ``achat`` (``async def``) or ``chat``
    (plain ``def``, run on a thread): the call path then asks that one.
    """

    provides: ClassVar[tuple[str, ...]] = ("chat",)

    async def agenerate(
        self,
        messages: Messages,
        *,
        role: str = "forward",
        sample_index: int = 0,
        cache: bool = True,
        stand_in: str | None = None,
        **args: Any,
    ) -> Reply:
        """Ask for one reply, through the one call path.

        Args:
            messages: ``{"role", "content"}`` dicts, oldest first; at least one.
            role: Who asks: ``forward``, ``judge``, ``critic``, ``optimizer``, ``test``.
            sample_index: Distinguishes repeated samples of one question; without it,
                equal questions share one reply while in flight, and in a cache.
            cache: False passes by a cache in force.
            stand_in: A text in the form that the caller can read; the answer while a
                `plan` is made, when nothing is sent.
            **args: Completion arguments: model, temperature, response_format, ….

        Raises:
            ModelError: The call failed for good.
            BudgetError: It does not fit a budget in force; nothing was sent.
            ReplayMissError: Replay is on and there is no such recording.
            ReplyError: The reply does not fit a pydantic ``response_format``.

        Model calls: 1, or 0 if a cache or an equal call in flight has the answer.
        """
        request = Request(
            messages=checked(messages),
            args=self._arguments(args),
            role=effective_role(role),
            sample_index=sample_index,
        )
        return await on_loop(
            call(self, request, self._send, use_cache=cache, stand_in=stand_in)
        )

    async def achat(self, messages: Messages, **args: Any) -> str | None:
        """Ask for one reply and return its text; see `agenerate`."""
        return (await self.agenerate(messages, **args)).text

    def chat(self, messages: Messages, **args: Any) -> str | None:
        """Ask for one reply and wait for its text; see `agenerate`."""
        return run_sync(self.achat(messages, **args))

    def astream(
        self,
        messages: Messages,
        *,
        role: str = "forward",
        sample_index: int = 0,
        **args: Any,
    ) -> Stream:
        """Ask for one reply and get its text in pieces, for ``async for``.

        Budgets, limits and retries apply, the latter until the first piece; caches do
        not. Arguments and errors are those of `agenerate`, the errors while iterating.

        Model calls: 1, made at once.
        """
        request = Request(
            messages=checked(messages),
            args=self._arguments(args),
            role=effective_role(role),
            sample_index=sample_index,
        )
        return Stream(lambda emit: streamed(self, request, emit))

    def stream(self, messages: Messages, **args: Any) -> Stream:
        """Ask for one reply and get its text in pieces, for ``for``; see `astream`."""
        return self.astream(messages, **args)

    def _arguments(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments to send: the default model, and no SDK "not given"."""
        given = {k: v for k, v in args.items() if not _is_absent(v)}
        check_arguments(given)
        if self.model is not None:
            given.setdefault("model", self.model)
        return given

    async def _send(self, request: Request) -> Reply:
        """Make one attempt. Providers override this.

        Raises:
            ModelError: The attempt failed; ``retryable`` says whether another may help.
        """
        kind, messages = type(self), [dict(m) for m in request.messages]
        if kind.achat is not ChatCompletionModel.achat:
            answer = await self.achat(messages, **request.args)
        elif kind.chat is not ChatCompletionModel.chat:
            answer = await in_thread(_bind(self.chat, messages, request.args))
        else:
            raise NotImplementedError(
                f"{kind.__name__} must override _send, achat or chat."
            )
        return Reply(answer, model=request.model)

    async def _stream(self, request: Request, emit: Emit) -> Reply:
        """Make one attempt and emit its text as it comes. Providers override this.

        Raises:
            ModelError: As `_send`.
        """
        reply = await self._send(request)
        emit(reply.text or "")
        return reply


class TextCompletionModel(BaseModel):
    """A model that continues a text."""

    async def acomplete(self, prompt: str, **args: Any) -> str:
        """Return the continuation of ``prompt``."""
        raise NotImplementedError(f"{type(self).__name__} completes no plain text.")

    def complete(self, prompt: str, **args: Any) -> str:
        """Return the continuation of ``prompt``; waits."""
        return run_sync(self.acomplete(prompt, **args))


class EmbeddingModel(BaseModel):
    """A model that turns texts into vectors."""

    async def aembed(self, input: Sequence[str], **args: Any) -> list[list[float]]:  # noqa: A002
        """Return one vector per text, in order."""
        raise NotImplementedError(f"{type(self).__name__} embeds nothing.")

    def embed(self, input: Sequence[str], **args: Any) -> list[list[float]]:  # noqa: A002
        """Return one vector per text, in order; waits."""
        return run_sync(self.aembed(input, **args))


def _is_absent(value: Any) -> bool:
    """Whether ``value`` is an SDK's marker for an argument that was not given."""
    return type(value).__name__ in ("NotGiven", "Omit")


def _bind(
    fn: Callable[..., str | None], messages: Messages, args: Mapping[str, Any]
) -> Callable[[], str | None]:
    return lambda: fn(messages, **args)
