"""Clients of language models: what they all share, and the three kinds.

A provider overrides `ChatCompletionModel._send` (one attempt); everything else, from
the cache to the bill, is the one call path of `afnio.models._call`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import count
from typing import Any, ClassVar, Final, NoReturn, Self

from afnio._dispatch import in_thread, on_loop, run_sync
from afnio.errors import InputTypeError, InputValueError
from afnio.models._call import call
from afnio.models._limits import Limiter, Limits, limiter_for
from afnio.models._loop_local import LoopLocal
from afnio.models._messages import Message, Messages, Reply, Request
from afnio.models._prices import Price, PriceBook
from afnio.models._retry import RetryPolicy
from afnio.models._scopes import effective_role
from afnio.models._usage import Usage, UsageMeter

__all__ = [
    "BaseModel",
    "ChatCompletionModel",
    "EmbeddingModel",
    "TextCompletionModel",
]

_serial: Final = count(1)


class BaseModel:
    """What every client has: a provider, settings, a meter, prices and limits.

    Args:
        provider: Who answers, such as ``"openai"``.
        config: Settings as JSON data; never a key.
        usage: Tokens counted so far, in the documented form. The cost starts at 0.
    """

    model: str | None = None
    """The model asked when a call names none."""

    default_max_tokens: int = 4096
    """Reply tokens that a budget reserves for a call that sets no maximum."""

    _meter: UsageMeter
    _flights: LoopLocal[dict[Any, Any]]
    _own_limiter: LoopLocal[Limiter]
    _prices: PriceBook
    _retry: RetryPolicy = RetryPolicy()
    _limits: Limits | None = Limits()
    _model_id: str
    _provider: str | None = None
    _config: Mapping[str, Any] | None = None

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Set up the plumbing, so that a subclass may forget ``super().__init__()``."""
        self = super().__new__(cls)
        self._meter = UsageMeter()
        self._prices = PriceBook()
        self._flights = LoopLocal(dict)
        self._own_limiter = LoopLocal(lambda: Limiter(self._limits or Limits()))
        self._model_id = f"{cls.__name__}-{next(_serial)}"
        return self

    def __init__(
        self,
        provider: str | None = None,
        config: Mapping[str, Any] | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> None:
        self._provider = provider
        self._config = dict(config or {})
        if usage:
            self._meter.adjust(Usage.from_document(usage))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(provider={self._provider!r}, model={self.model!r})"
        )

    @property
    def model_id(self) -> str:
        """A name for this client object, unique in the process."""
        return self._model_id

    @property
    def endpoint(self) -> str | None:
        """The address whose limits are shared by all clients that use it."""
        return None

    @property
    def identity(self) -> Mapping[str, Any]:
        """What besides a request decides the answer: part of every cache key.

        A subclass whose answers depend on more than its config extends it.
        """
        kind = type(self)
        return {
            "client": f"{kind.__module__}.{kind.__qualname__}",
            "config": self._config or {},
            "provider": self._provider,
        }

    def get_provider(self) -> str | None:
        """Return who answers."""
        return self._provider

    def get_config(self) -> dict[str, Any]:
        """Return a copy of the settings, without keys."""
        return copy.deepcopy(dict(self._config or {}))

    def get_usage(self) -> dict[str, Any]:
        """Return everything used so far, in the documented form. A fresh copy."""
        return self._meter.total.document()

    def get_usage_by_role(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return ``{role: {model: usage}}``, with counts and seconds besides.

        ``calls`` were paid for, ``cached_calls`` came from a cache, ``failed_calls``
        failed for good; the tokens of ``estimated_calls`` are estimates, because the
        server reported none. ``seconds`` is the wall-clock time during which at least
        one call was under way, retries and waiting for limits included.
        """
        return self._meter.by_role()

    def update_usage(
        self, usage: Mapping[str, Any], model_name: str | None = None
    ) -> None:
        """Add ``usage``, in the documented form.

        Args:
            usage: Token counts; None and absent count as 0.
            model_name: Prices the tokens. Without one, the total cost becomes
                ``usage["cost"]["amount"]``, as when a checkpoint is restored.
        """
        tokens = Usage.from_document(usage)
        if model_name is not None:
            self._prices.warn_if_unknown(model_name)
            cost = self._prices.cost(tokens, model_name) or Decimal(0)
            self._meter.adjust(tokens.priced(cost))
            return
        amount = (usage.get("cost") or {}).get("amount")
        self._meter.adjust(tokens, None if amount is None else Decimal(str(amount)))

    def clear_usage(self) -> None:
        """Set every number to zero."""
        self._meter.clear()

    def set_price(
        self,
        model: str,
        *,
        input: float | Decimal,  # noqa: A002 - the documented name of a price
        output: float | Decimal,
        cached: float | Decimal | None = None,
    ) -> None:
        """Set what ``model`` costs on this client; overrides every price list.

        Args:
            model: Its name as calls give it.
            input: US dollars per million prompt tokens.
            output: US dollars per million reply tokens.
            cached: US dollars per million cached prompt tokens; None for ``input``.
        """
        price = Price(
            input=Decimal(str(input)),
            output=Decimal(str(output)),
            cached=None if cached is None else Decimal(str(cached)),
        )
        self._prices.set(model, price)

    async def aclose(self) -> None:
        """Close connections; the client opens new ones when asked again."""

    def close(self) -> None:
        """Close connections; the client opens new ones when asked again."""
        run_sync(self.aclose())

    def _limiter(self) -> Limiter | None:
        if self._limits is None:
            return None
        if (endpoint := self.endpoint) is None:
            return self._own_limiter.get()
        return limiter_for(endpoint, self._limits)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        """Describe the client: connections and keys cannot be copied."""
        return {
            "class_type": type(self).__name__,
            "provider": self._provider,
            "usage": self.get_usage(),
        }

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise InputTypeError(
            f"{type(self).__name__} cannot be pickled: it holds connections and a key. "
            "Make a new client where it is needed."
        )


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
        **args: Any,
    ) -> Reply:
        """Ask for one reply, through the one call path.

        Args:
            messages: ``{"role", "content"}`` dicts, oldest first; at least one.
            role: Who asks: ``forward``, ``judge``, ``critic``, ``optimizer``, ``test``.
            sample_index: Distinguishes repeated samples of one question; without it,
                equal questions share one reply while in flight, and in a cache.
            cache: False passes by a cache in force.
            **args: Completion arguments: model, temperature, response_format, ….

        Raises:
            ModelError: The call failed for good.
            BudgetError: It does not fit a budget in force; nothing was sent.
            ReplayMissError: Replay is on and there is no such recording.
            ReplyError: The reply does not fit a pydantic ``response_format``.

        Model calls: 1, or 0 if a cache or an equal call in flight has the answer.
        """
        request = Request(
            messages=_checked(messages),
            args=self._arguments(args),
            role=effective_role(role),
            sample_index=sample_index,
        )
        return await on_loop(call(self, request, self._send, use_cache=cache))

    async def achat(self, messages: Messages, **args: Any) -> str | None:
        """Ask for one reply and return its text; see `agenerate`."""
        return (await self.agenerate(messages, **args)).text

    def chat(self, messages: Messages, **args: Any) -> str | None:
        """Ask for one reply and wait for its text; see `agenerate`."""
        return run_sync(self.achat(messages, **args))

    def _arguments(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments to send: the default model, and no SDK "not given"."""
        if (args.get("n") or 1) != 1:
            raise InputValueError(
                f"n={args['n']}: one call returns one reply; ask again with another "
                "sample_index for more."
            )
        given = {k: v for k, v in args.items() if not _is_absent(v)}
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


def _checked(messages: Any) -> tuple[Message, ...]:
    """Refuse what no provider could read."""
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(
        messages, Sequence
    ):
        raise InputTypeError(
            f"messages is {type(messages).__name__}; expected a list of "
            '{"role": …, "content": …} dicts.'
        )
    if not messages:
        raise InputValueError("messages is empty; expected at least one message.")
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or "role" not in message:
            raise InputTypeError(
                f"messages[{index}] is not a message; expected a dict with 'role' and "
                "'content'."
            )
    return tuple(dict(message) for message in messages)


def _is_absent(value: Any) -> bool:
    """Whether ``value`` is an SDK's marker for an argument that was not given."""
    return type(value).__name__ in ("NotGiven", "Omit")


def _bind(
    fn: Callable[..., str | None], messages: Messages, args: Mapping[str, Any]
) -> Callable[[], str | None]:
    return lambda: fn(messages, **args)
