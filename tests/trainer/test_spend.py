"""Costs are read by difference; nobody's counter is cleared."""

from __future__ import annotations

import pytest

import afnio.cognitive as cog
from afnio.models import set_backward_model_client
from afnio.models._roles import BackwardModelClient
from afnio.models.testing import ScriptedModel
from afnio.trainer._spend import Spend, clients_in


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


def test_usage_by_role():
    """Calls, tokens and cost are counted by role, also of clients that cannot tell."""
    model, other = ScriptedModel("x", model="m"), Client()
    model.set_price("m", input=1e6, output=0)
    ask = [{"role": "user", "content": "1234"}]
    model.chat(ask)
    spend = Spend()
    with spend.watching([model, other]):
        model.chat(ask, role="critic")
        model.chat(ask, sample_index=1)
        other.amount = 2.0
    model.chat(ask, sample_index=2)
    usage = spend.usage()
    assert {role: use.calls for role, use in usage.items()} == {
        "(unknown)": 0,
        "critic": 1,
        "forward": 1,
    }
    assert usage["critic"].input_tokens == usage["critic"].cost_usd == 1
    assert usage["(unknown)"].cost_usd == 2
    assert (spend.calls(), spend.cost()) == (2, 4.0)


def test_a_cleared_meter_goes_on_counting():
    """Tokens of a role that start again from zero are new ones."""
    model = ScriptedModel("x")
    ask = [{"role": "user", "content": "?"}]
    spend = Spend()
    with spend.watching([model]):
        model.chat(ask)
        model.chat(ask, sample_index=1)
        assert spend.calls() == 2
        model.clear_usage()
        model.chat(ask, sample_index=2)
        assert spend.calls() == 3


def test_clients_found_later_are_watched_until_the_end():
    """An optimizer's client is known only once the optimizer is made."""
    one, two = Client(), Client(5.0)
    spend = Spend()
    with spend.watching([one]):
        spend.watch_also([two, one])
        two.amount = 6.0
    two.amount = 9.0
    assert spend.cost() == 1.0


def test_calls_under_way():
    """Clients that tell how many calls are in flight are asked."""

    class Busy(Client):
        def get_usage_by_role(self):
            return {"forward": {"m": {"running_calls": 3}}}

    spend = Spend()
    with spend.watching([Busy(), Client()]):
        assert spend.in_flight() == 3
    assert spend.in_flight() == 0


def test_sums_survive_a_checkpoint():
    """Counting goes on from what was saved."""
    model, first, second = ScriptedModel("x"), Spend(), Spend()
    ask = [{"role": "user", "content": "?"}]
    with first.watching([model]):
        model.chat(ask)
    with second.watching([model]):
        second.load_state_dict(first.state_dict())
        model.chat(ask, sample_index=1)
    assert (first.calls(), second.calls()) == (1, 2)


def test_the_clients_of_a_program_are_found():
    """Its own, and who writes its critiques, if anybody does."""
    model, critic = ScriptedModel("x"), ScriptedModel("y")
    agent = cog.ChatCompletion(model)
    assert clients_in(agent) == [model]
    with set_backward_model_client(critic):
        assert [getattr(c, "client", c) for c in clients_in(agent)] == [model, critic]
