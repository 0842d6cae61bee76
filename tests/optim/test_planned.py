"""A plan of a search counts what the search would do, and leaves it as it was."""

from __future__ import annotations

import warnings

import pytest
from optim_helpers import Rules

import afnio
from afnio.models import plan
from afnio.models.testing import ScriptedModel, feedback
from afnio.optim import GEPA, TGD, PatchTGD
from afnio.optim.gates import Improve

CRITIC = feedback("Name the rule.")


def optimizer_of(name, rules):
    """Return an optimizer of the rules' prompt, and its closure."""
    if name == "TGD":
        made = TGD([rules.prompt], rules.optimizer, gate=Improve())
        return made, rules.closure(train=False)
    made = {"GEPA": GEPA, "PatchTGD": PatchTGD}[name]([rules.prompt], rules.optimizer)
    return made, rules.closure()


def train(name, rules, optimizer, closure):
    """Make three steps, with feedback from ``backward`` where it is needed."""
    for _ in range(3):
        if name == "TGD":
            optimizer.zero_grad()
            rules.evaluate(rules.train)[1].backward()
        optimizer.step(closure)


@pytest.mark.parametrize("name", ["TGD", "GEPA", "PatchTGD"])
def test_a_plan_of_a_search_has_about_as_many_calls_as_the_search(name):
    """Candidates are evaluated in a plan: it has the run's calls, or up to 3 x them."""
    critic = ScriptedModel(CRITIC)
    with afnio.set_backward_model_client(critic):
        with plan() as planned:
            rules = Rules(edits=name == "PatchTGD")
            train(name, rules, *optimizer_of(name, rules))
        assert "0.86 to 3 times" in str(planned)
        rules = Rules(edits=name == "PatchTGD")
        train(name, rules, *optimizer_of(name, rules))
    doubles = (critic, rules.forward, rules.optimizer)
    made = sum(len(double.requests) for double in doubles)
    assert made <= planned.calls <= 3 * made


@pytest.mark.parametrize("name", ["TGD", "GEPA", "PatchTGD"])
def test_a_plan_leaves_parameters_and_optimizers_as_they_were(name):
    """What stand-ins have changed is undone at the plan's end."""
    rules = Rules(edits=name == "PatchTGD")
    optimizer, closure = optimizer_of(name, rules)
    with afnio.set_backward_model_client(ScriptedModel(CRITIC)):
        train(name, rules, optimizer, closure)
        before = optimizer.state_dict()
        text, decided = rules.prompt.data, len(optimizer.history)
        with plan():
            train(name, rules, optimizer, closure)
            assert len(optimizer.history) > decided
    assert rules.prompt.data == text
    assert optimizer.state_dict() == before


def test_candidates_of_a_plan_are_not_refused():
    """Nothing is warned of: stand-ins for rewrites are new and usable."""
    rules = Rules()
    optimizer, closure = optimizer_of("PatchTGD", rules)
    with (
        warnings.catch_warnings(),
        plan(),
        afnio.set_backward_model_client(ScriptedModel(CRITIC)),
    ):
        warnings.simplefilter("error")
        train("PatchTGD", rules, optimizer, closure)
