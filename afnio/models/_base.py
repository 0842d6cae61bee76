"""What every client has, whatever kind of model it asks."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping
from decimal import Decimal
from itertools import count
from typing import Any, Final, NoReturn, Self

from afnio._dispatch import run_sync
from afnio.errors import InputTypeError
from afnio.models._limits import Limiter, Limits, limiter_for
from afnio.models._loop_local import LoopLocal
from afnio.models._prices import Price, PriceBook
from afnio.models._retry import RetryPolicy
from afnio.models._usage import Usage, UsageMeter

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
    def _account(self) -> Hashable:
        """Whose limits hold at the endpoint; not to be written anywhere."""
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

        Raises:
            InputTypeError: A price is no number, or the model no name.
            InputValueError: A price is negative.
        """
        if not isinstance(model, str):
            raise InputTypeError(
                f"model is {type(model).__name__}; expected a model's name."
            )
        price = {"input": input, "output": output, "cached": cached}
        self._prices.set(model, Price(**price))  # type: ignore[arg-type]

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
        return limiter_for((endpoint, self._account), self._limits)

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
