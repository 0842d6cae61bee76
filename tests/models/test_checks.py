"""Numbers that users give as settings: what is no number is refused in words."""

from decimal import Decimal

import pytest

from afnio.errors import InputTypeError, InputValueError
from afnio.models import Budget, Limits, Price, RetryPolicy, deadline, set_budget
from afnio.models.testing import ScriptedModel

NAN = float("nan")
KINDS = {
    "budget in text": lambda: Budget(usd="5"),
    "budget of a bool": lambda: Budget(usd=True),
    "concurrency of a half": lambda: Limits(concurrency=1.5),
    "no concurrency": lambda: Limits(concurrency=None),
    "deadline in text": lambda: deadline("5"),
    "retries in text": lambda: RetryPolicy(max_retries="5"),
    "wait in text": lambda: RetryPolicy(base_s="a"),
    "wait of an object": lambda: RetryPolicy(cap_s=object()),
    "no function": lambda: RetryPolicy(sleep=5),
    "retry deadline in text": lambda: RetryPolicy(deadline_s=""),
    "price in text": lambda: Price(input="x", output="y"),
    "price of no name": lambda: ScriptedModel("x").set_price(5, input=1, output=1),
    "a number for a budget": lambda: set_budget(5),
}
VALUES = {
    "budget of NaN dollars": lambda: Budget(usd=NAN),
    "budget of NaN calls": lambda: Budget(calls=NAN),
    "budget of NaN tokens": lambda: Budget(tokens=NAN),
    "budget of NaN seconds": lambda: Budget(seconds=NAN),
    "no calls at once": lambda: Limits(concurrency=0),
    "deadline of NaN": lambda: deadline(NAN),
    "wait below zero": lambda: RetryPolicy(max_wait_s=-1),
    "price of NaN": lambda: Price(input=Decimal("nan"), output=1),
}


@pytest.mark.parametrize("name", KINDS)
def test_settings_of_another_kind_are_refused(name):
    """The message names the setting and what was expected."""
    with pytest.raises(InputTypeError, match="expected"):
        KINDS[name]()


@pytest.mark.parametrize("name", VALUES)
def test_impossible_numbers_are_refused(name):
    """Not-a-number would pass every comparison, and so every limit."""
    with pytest.raises(InputValueError, match="expected"):
        VALUES[name]()


def test_prices_are_exact():
    """A float becomes the decimal number that it shows."""
    assert Price(input=0.1, output=2).input == Decimal("0.1")
