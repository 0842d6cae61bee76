"""Costs are read by difference; nobody's counter is cleared."""

from __future__ import annotations

import pytest

from afnio.models._roles import BackwardModelClient
from afnio.models.testing import ScriptedModel
from afnio.trainer._spend import Spend


class Client:
    def __init__(self, amount=0.0):
        self.amount = amount

    def get_usage(self):
        return {"cost": {"amount": self.amount, "currency": "USD"}}


def test_only_what_is_spent_inside_counts():
    """Earlier and later costs stay out, and counters stay as they are (TR14)."""
    one, two = Client(5.0), Client(1.0)
    spend = Spend()
    with spend.watching([one, two]):
        one.amount, two.amount = 5.5, 1.25
    one.amount = 9.0
    assert spend.cost() == 0.75
    assert (one.amount, two.amount) == (9.0, 1.25)


def test_a_cleared_counter_does_not_take_money_back():
    """A user may call clear_usage between two looks."""
    client = Client(2.0)
    spend = Spend()
    with spend.watching([client]):
        client.amount = 3.0
        assert spend.cost() == 1.0
        client.amount = 0.5
        assert spend.cost() == 1.5


def test_blocks_nest():
    """A test from within a fit counts its clients, and goes on counting the fit's."""
    one, two = Client(), Client()
    spend = Spend()
    with spend.watching([one]):
        one.amount = 1.0
        with spend.watching([two, one]):
            one.amount, two.amount = 2.0, 0.5
        one.amount, two.amount = 3.0, 9.0
    assert spend.cost() == 3.5


def test_a_client_counts_once():
    """The backward client wraps a client that is often in the list too."""
    model = ScriptedModel("x")
    spend = Spend()
    with spend.watching([model, model, BackwardModelClient(model)]):
        model.update_usage({"cost": {"amount": 2.0}})
    assert spend.cost() == 2.0


@pytest.mark.parametrize("clients", [[3], 3])
def test_what_is_no_client_is_refused(clients):
    """The message says what came."""
    with pytest.raises(TypeError, match="llm_clients"), Spend().watching(clients):
        pass
