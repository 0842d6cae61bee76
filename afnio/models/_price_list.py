"""The price list of ``genai-prices``, asked once a minute for each model.

The library works out every price from scratch, which takes a twelfth of the time of a
model call. Its answer names the prices it used; as long as they are plain numbers, a
call's cost is a sum of products. Everything else is left to the library.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from afnio.models._usage import Usage

_BATCH: Final = {"price_context": {"processing": "batch"}}
_MILLION: Final = Decimal(1_000_000)
_KEPT_S: Final = 60.0
"""Seconds for which prices are kept: some change with the time of day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rates:
    """Plain prices, in US dollars per million tokens."""

    input: Decimal
    output: Decimal
    cached: Decimal | None
    written: Decimal | None
    below: float
    """They hold for prompts of fewer tokens."""
    until: float
    """They hold until then, on the monotonic clock."""

    def cost(self, usage: Usage) -> Decimal | None:
        """Return what ``usage`` costs; None if these prices do not say."""
        if usage.input_tokens >= self.below or time.monotonic() >= self.until:
            return None
        cached, written = _cached(usage), _written(usage)
        total = (usage.input_tokens - cached - written) * self.input
        for tokens, price in ((cached, self.cached), (written, self.written)):
            if tokens and price is None:
                return None
            total += tokens * (price or 0)
        return (total + usage.output_tokens * self.output) / _MILLION


class PriceList:
    """Prices of one provider's models.

    Args:
        provider: As ``genai-prices`` names it.
        api_url: The endpoint, where it is not the provider's own; its prices come
            first.
    """

    def __init__(self, provider: str, api_url: str | None) -> None:
        self._provider = provider
        self._api_url = api_url
        self._rates: dict[tuple[str, bool], _Rates] = {}

    def cost(self, usage: Usage, model: str, *, batched: bool) -> Decimal | None:
        """Return what ``usage`` of ``model`` costs in US dollars; None if unknown."""
        rates = self._rates.get((model, batched))
        if rates is not None and (cost := rates.cost(usage)) is not None:
            return cost
        found = self._calculated(usage, model, _BATCH if batched else {})
        if found is None:
            return None
        total: Decimal = found.total_price
        rates = _rates(found.model_price)
        if rates is not None and rates.cost(usage) == total:
            self._rates[model, batched] = rates
        return total

    def _calculated(self, usage: Usage, model: str, context: Mapping[str, Any]) -> Any:
        from genai_prices import Usage as ListUsage
        from genai_prices import calc_price

        tokens = ListUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=_cached(usage),
            cache_write_tokens=_written(usage),
        )
        if self._api_url is not None:
            try:
                return calc_price(
                    tokens, model, provider_api_url=self._api_url, **context
                )
            except LookupError:
                pass
        try:
            return calc_price(tokens, model, provider_id=self._provider, **context)
        except LookupError:
            return None


def _cached(usage: Usage) -> int:
    return min(usage.cached_tokens, usage.input_tokens)


def _written(usage: Usage) -> int:
    return min(
        usage.cache_write_tokens, max(usage.input_tokens - usage.cached_tokens, 0)
    )


def _rates(model_price: Any) -> _Rates | None:
    """Read the prices that hold for short prompts; None if they are not that simple."""
    names = ("input", "output", "cache_read", "cache_write")
    prices: dict[str, Any] = {
        name: getattr(model_price, f"{name}_mtok", None) for name in names
    }
    below = float("inf")
    for name, price in prices.items():
        for tier in getattr(price, "tiers", ()):
            below = min(below, float(tier.start))
        prices[name] = getattr(price, "base", price)
    if not all(isinstance(prices[name], Decimal) for name in ("input", "output")):
        return None
    return _Rates(
        input=prices["input"],
        output=prices["output"],
        cached=prices["cache_read"],
        written=prices["cache_write"],
        below=below,
        until=time.monotonic() + _KEPT_S,
    )
