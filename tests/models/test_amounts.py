"""The worst case of a call bounds its prompt and its reply."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models import Price, Request
from afnio.models._amounts import input_tokens, output_tokens, worst_case
from afnio.models._prices import PriceBook


def request(content, **args):
    """Build a request with one user message."""
    return Request(messages=({"role": "user", "content": content},), args=args)


@given(st.text())
def test_prompt_counts_at_least_its_bytes(text):
    """No tokenizer makes more tokens than there are bytes."""
    assert input_tokens(request(text)) >= len(text.encode("utf-8", "surrogatepass"))


def test_blocks_tools_and_schemas_count():
    """Images, tools and schemas are part of the prompt."""
    plain = input_tokens(request([{"type": "text", "text": "x"}]))
    image = {"type": "image_url", "image_url": {"url": "https://x.test/y.png"}}
    assert input_tokens(request([image])) > plain + 8000
    tool = {"type": "function", "function": {"name": "f" * 500}}
    assert input_tokens(request("x", tools=[tool])) > 500


@pytest.mark.parametrize(
    ("args", "tokens"),
    [
        ({}, 100),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 8, "max_tokens": 9}, 8),
        ({"max_tokens": None}, 100),
    ],
)
def test_reply_is_bounded_by_arguments_or_default(args, tokens):
    """The maximum given counts, or else the client's default."""
    assert output_tokens(args, 100) == tokens


def test_worst_case_is_priced():
    """Prompt and reply are priced at full, uncached prices."""
    prices = PriceBook()
    prices.set("m", Price(input=Decimal(1_000_000), output=Decimal(2_000_000)))
    asked = request("x", max_tokens=10)
    worst = worst_case(asked, "m", prices=prices, default_output=5)
    assert worst.amount.usd == input_tokens(asked) + 20
    assert worst.amount.calls == 1
    assert not worst_case(asked, "other", prices=prices, default_output=5).is_priced
