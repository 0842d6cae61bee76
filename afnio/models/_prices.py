"""What tokens cost: ``genai-prices`` for known models, overrides by the user."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from afnio._warn import warn
from afnio.models._checks import check_number
from afnio.models._price_list import PriceList
from afnio.models._usage import Usage

_MILLION: Final = Decimal(1_000_000)


class UnknownPriceWarning(UserWarning):
    """A model has no known price, so its calls count as costing nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens.

    Raises:
        InputTypeError: A price is no number.
        InputValueError: A price is negative.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    """Cached prompt tokens; the input price where None."""

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached"):
            value = getattr(self, name)
            if value is not None or name != "cached":
                check_number(f"the {name} price in US dollars", value)
                exact = value if isinstance(value, Decimal) else Decimal(str(value))
                object.__setattr__(self, name, exact)

    def cost(self, usage: Usage) -> Decimal:
        """Return what ``usage`` costs, in US dollars."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        cached_price = self.input if self.cached is None else self.cached
        return (
            (usage.input_tokens - cached) * self.input
            + cached * cached_price
            + usage.output_tokens * self.output
        ) / _MILLION


FREE: Final = Price(input=Decimal(0), output=Decimal(0))


class PriceBook:
    """Prices of one client's models.

    Args:
        provider: Whose price list, as ``genai-prices`` names it; None knows no prices.
        api_url: The endpoint, where it is not the provider's own; its price list comes
            first.
        default: The price of every model without an override; skips the price list.
        warns: Whether an unknown price is worth a warning; on one's own machines
            calls have none.
    """

    def __init__(
        self,
        provider: str | None = None,
        *,
        api_url: str | None = None,
        default: Price | None = None,
        warns: bool = True,
    ) -> None:
        self._list = None if provider is None else PriceList(provider, api_url)
        self._default = default
        self._overrides: dict[str, Price] = {}
        self._known: dict[str, bool] = {}
        self._warns = warns
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def set(self, model: str, price: Price) -> None:
        """Override the price of ``model``."""
        self._overrides[model] = price

    def cost(
        self, usage: Usage, model: str | None, *, batched: bool = False
    ) -> Decimal | None:
        """Return what ``usage`` of ``model`` costs in US dollars; None if unknown.

        Args:
            usage: The tokens.
            model: Whose price.
            batched: Whether the price list's price of batch APIs holds, if it has one.
                Overrides hold for batches as well.
        """
        price = self._overrides.get(model or "", self._default)
        if price is not None:
            return price.cost(usage)
        if model is None or self._list is None:
            return None
        return self._list.cost(usage, model, batched=batched)

    def knows(self, model: str | None) -> bool:
        """Whether ``model`` has a price."""
        name = model or ""
        if self._default is not None or name in self._overrides:
            return True
        if name not in self._known:
            self._known[name] = self.cost(Usage(input_tokens=1), model) is not None
        return self._known[name]

    def warn_if_unknown(self, model: str | None) -> None:
        """Warn, once per model, that its calls will count as costing nothing."""
        if not self._warns or self.knows(model):
            return
        name = model or ""
        with self._lock:
            if name in self._warned:
                return
            self._warned.add(name)
        warn(
            f"no price is known for model {name!r}: its calls count as $0. "
            f"Set one with client.set_price({name!r}, input=…, output=…), in US "
            "dollars per million tokens.",
            UnknownPriceWarning,
        )
