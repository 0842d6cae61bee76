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


def test_only_what_is_spent_from_now_on_counts():
    """Earlier costs and other clients stay out (TR14)."""
    one, two = Client(5.0), Client(1.0)
    spend = Spend()
    spend.watch([one, two])
    one.amount, two.amount = 5.5, 1.25
    assert spend.cost() == 0.75
    assert (one.amount, two.amount) == (5.5, 1.25)


def test_a_cleared_counter_does_not_take_money_back():
    """A user may call clear_usage between two looks."""
    client = Client(2.0)
    spend = Spend()
    spend.watch([client])
    client.amount = 3.0
    assert spend.cost() == 1.0
    client.amount = 0.5
    assert spend.cost() == 1.5


def test_watching_others_keeps_what_was_counted():
    """A Trainer's cost adds up over its calls."""
    one, two = Client(), Client()
    spend = Spend()
    spend.watch([one])
    one.amount = 1.0
    spend.watch([two])
    one.amount, two.amount = 9.0, 0.5
    assert spend.cost() == 1.5


def test_a_client_counts_once():
    """The backward client wraps a client that is often in the list too."""
    model = ScriptedModel("x")
    model.update_usage({"cost": {"amount": 0.0}})
    spend = Spend()
    spend.watch([model, model, BackwardModelClient(model)])
    model.update_usage({"cost": {"amount": 2.0}})
    assert spend.cost() == 2.0


@pytest.mark.parametrize("clients", [[3], 3])
def test_what_is_no_client_is_refused(clients):
    """The message says what came."""
    with pytest.raises(TypeError, match="llm_clients"):
        Spend().watch(clients)
