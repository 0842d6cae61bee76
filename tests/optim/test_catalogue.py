"""What all presets of the catalogue have in common."""

from __future__ import annotations

import inspect
import json
import warnings

import pytest
from catalogue_helpers import Desk

from afnio.autodiff.credit import credit_mode
from afnio.errors import BadRequestError, BudgetError, StateError
from afnio.models import Budget
from afnio.models.testing import ScriptedModel, rewriting
from afnio.optim import (
    GEPA,
    MIPRO,
    OPRO,
    SIMBA,
    BeamTGD,
    BootstrapFewShot,
    FeedbackDescent,
    OptoPrime,
    PatchTGD,
    Stop,
)

SEARCHES = [BeamTGD, OPRO, OptoPrime, MIPRO, SIMBA, FeedbackDescent]


def make(kind, world, model, **options):
    """Return an optimizer of the prompt."""
    if kind is MIPRO:
        pytest.importorskip("optuna")
    return kind([world.prompt], model, seed=1, **options)


def broken():
    """Return a model whose calls fail for good."""
    return ScriptedModel(lambda messages, **args: BadRequestError("no", model="m"))


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_failed_call_changes_nothing(kind):
    """Neither the parameter nor the state, but for the calls that were made."""
    world = Desk()
    opt = make(kind, world, broken())
    before = json.dumps(opt.state_dict()["search"] | {"calls": {}})
    with pytest.raises(BadRequestError):
        opt.step(world.closure())
    assert world.prompt.data == "Answer alpha."
    assert opt.history == []
    assert json.dumps(opt.state_dict()["search"] | {"calls": {}}) == before


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_budget_stops_in_the_middle_of_a_step(kind):
    """And what the step was about is as it was."""
    world = Desk()
    opt = make(kind, world, ScriptedModel("unused"))
    with Budget(calls=5), pytest.raises(BudgetError):
        opt.step(world.closure())
    assert len(world.forward.requests) <= 5
    assert world.prompt.data == "Answer alpha."


@pytest.mark.parametrize("kind", SEARCHES)
def test_it_stops_when_told_to(kind):
    """A step after the last one that is allowed costs nothing."""
    world = Desk("alpha beta gamma delta")
    opt = make(kind, world, ScriptedModel("Nothing."), stop_when=Stop(calls=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        opt.step(world.closure())
    spent = len(world.forward.requests)
    assert spent
    assert opt.step(world.closure()) is None
    assert len(world.forward.requests) == spent


@pytest.mark.parametrize("kind", [*SEARCHES, PatchTGD, GEPA])
def test_a_scripted_rewriter_serves_every_search(kind):
    """Whatever form its requests have; one model answers all of them."""
    world = Desk("Answer.")
    model = ScriptedModel(rewriting(lambda text: f"{text} alpha beta gamma delta"))
    opt = make(kind, world, model)
    with credit_mode("passthrough"):
        opt.step(world.closure())
    assert world.prompt.data.split()[-4:] == ["alpha", "beta", "gamma", "delta"]
    assert opt.calls["optimizer"]


@pytest.mark.parametrize("kind", [BeamTGD, OPRO, OptoPrime, FeedbackDescent, GEPA])
def test_somebody_else_may_evaluate(kind):
    """With ask and tell, on the feedback that backward left."""
    world = Desk("Answer.")
    model = ScriptedModel(rewriting(lambda text: f"{text} alpha beta gamma delta"))
    with credit_mode("passthrough"):
        world.evaluate(world.train[:4])[1].backward()
    opt = make(kind, world, model)
    for candidate in opt.ask():
        with opt.trying(candidate):
            result = world.evaluate(world.val)
        opt.tell(candidate, result)
    assert world.prompt.data != "Answer."


def test_a_scripted_rewriter_has_to_add_where_a_rule_is_wanted():
    """The error names what it returned."""
    world = Desk("Answer.")
    opt = SIMBA([world.prompt], ScriptedModel(rewriting(str.upper)), seed=1)
    with pytest.raises(StateError, match=r"a rule.*'ANSWER\.' for 'Answer\.'"):
        opt.step(world.closure())


@pytest.mark.parametrize("kind", [*SEARCHES, BootstrapFewShot])
def test_the_docstring_says_what_a_user_needs(kind):
    """Every option, the calls, the source and what differs from it."""
    text = inspect.getdoc(kind)
    for part in ("Args:", "Model calls:", "Raises:", "Source:", "difference"):
        assert part in text
    for name in inspect.signature(kind).parameters:
        if name != "completion_args":
            assert f"\n    {name}: " in text
