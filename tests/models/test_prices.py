"""Prices: the list, overrides, and what happens without one."""

import warnings
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from afnio.errors import InputValueError
from afnio.models import Price, UnknownPriceWarning, Usage
from afnio.models._prices import FREE, PriceBook

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "prices"),
    [
        ("gpt-4o", ("2.5", "1.25", "10")),
        ("gpt-4o-2024-11-20", ("2.5", "1.25", "10")),
        ("gpt-4.1-nano", ("0.1", "0.025", "0.4")),
        ("gpt-4o-2024-05-13", ("5", "5", "15")),
    ],
)
def test_price_list_has_the_documented_prices(model, prices):
    """Input, cached and output prices are as documented; no cached price is input's."""
    book = PriceBook("openai")
    found = (
        book.cost(Usage(input_tokens=MILLION), model),
        book.cost(Usage(input_tokens=MILLION, cached_tokens=MILLION), model),
        book.cost(Usage(output_tokens=MILLION), model),
    )
    assert found == tuple(map(Decimal, prices))


def test_cost_mixes_cached_and_fresh_tokens():
    """1000 prompt tokens, 200 of them cached, and 10 reply tokens of gpt-4o."""
    usage = Usage(input_tokens=1000, cached_tokens=200, output_tokens=10)
    assert PriceBook("openai").cost(usage, "gpt-4o") == Decimal("0.00235")


@given(
    st.sampled_from(
        [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("openai", "o3")]
    ),
    st.tuples(*[st.integers(0, 300_000) for _ in range(4)]),
    st.booleans(),
)
def test_kept_prices_are_those_of_the_list(who, counts, batched):
    """Asked again, also beyond a tier, a price is what the library itself says."""
    provider, model = who
    read, written, fresh, output = counts
    usage = Usage(
        input_tokens=read + written + fresh,
        cached_tokens=read,
        cache_write_tokens=written,
        output_tokens=output,
    )
    book = PriceBook(provider)
    book.cost(Usage(input_tokens=9, output_tokens=9), model, batched=batched)
    asked = calc_price(
        genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=output,
            cache_read_tokens=read,
            cache_write_tokens=written,
        ),
        model,
        provider_id=provider,
        **({"price_context": {"processing": "batch"}} if batched else {}),
    )
    assert book.cost(usage, model, batched=batched) == asked.total_price


def test_override_wins_and_cached_falls_back_to_input():
    """An override replaces the list; without a cached price, cached costs as input."""
    book = PriceBook("openai")
    book.set("gpt-4o", Price(input=Decimal(4), output=Decimal(8)))
    usage = Usage(input_tokens=MILLION, cached_tokens=MILLION, output_tokens=MILLION)
    assert book.cost(usage, "gpt-4o") == 12


def test_negative_price_is_refused():
    """A price below zero is refused by name."""
    with pytest.raises(InputValueError, match="output price in US dollars is -1"):
        Price(input=Decimal(1), output=Decimal(-1))


def test_unknown_model_warns_once():
    """A model without a price warns the first time only, naming the remedy."""
    book = PriceBook("openai")
    with pytest.warns(UnknownPriceWarning, match="set_price"):
        book.warn_if_unknown("mystery-1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        book.warn_if_unknown("mystery-1")
    assert book.cost(Usage(input_tokens=5), "mystery-1") is None


def test_another_endpoint_is_priced_by_its_own_list():
    """A base URL that the price list knows is priced by that provider."""
    book = PriceBook("openai", api_url="https://api.groq.com/openai/v1")
    own = book.cost(Usage(input_tokens=MILLION), "llama-3.3-70b-versatile")
    assert own is not None
    assert own > 0


def test_free_book_knows_every_model():
    """A free client never looks a price up."""
    book = PriceBook(default=FREE)
    assert book.knows("anything")
    assert book.cost(Usage(input_tokens=MILLION), None) == 0


def test_cache_writes_have_their_own_price():
    """Anthropic's prompt cache is dearer to write and cheaper to read than input."""
    book = PriceBook("anthropic")
    written = Usage(input_tokens=100_000, cache_write_tokens=100_000)
    costs = [
        book.cost(usage, "claude-sonnet-4-5")
        for usage in (
            Usage(input_tokens=100_000, cached_tokens=100_000),
            Usage(input_tokens=100_000),
            written,
        )
    ]
    assert costs == [Decimal("0.03"), Decimal("0.3"), Decimal("0.375")]
