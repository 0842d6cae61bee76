"""Frozen parameters: what does not require grad is skipped, as in PyTorch."""

from __future__ import annotations

import pytest
from catalogue_helpers import Desk
from optim_helpers import Demos, Rules, between, param, sample

from afnio import Variable
from afnio.autodiff.credit import credit_mode
from afnio.models.testing import ScriptedModel, rewriting
from afnio.optim import (
    GEPA,
    MIPRO,
    OPRO,
    SIMBA,
    TGD,
    BeamTGD,
    FeedbackDescent,
    FewShot,
    NoOp,
    OptoPrime,
    PatchTGD,
)
from afnio.optim.controls import RandomDemos, RandomRewrite, ShuffledFeedback
from afnio.optim.gates import Always

SEARCHES = [PatchTGD, GEPA, BeamTGD, OPRO, OptoPrime, MIPRO, SIMBA, FeedbackDescent]
EVERYTHING = "alpha beta gamma delta"


class Two(Rules):
    """Answers right where either of two prompts names the rule."""

    def __init__(self):
        super().__init__()
        self.other = Variable("Be kind.", "other prompt", requires_grad=True)

    def shown(self):
        """Return both."""
        return [*super().shown(), ("system", self.other)]

    @staticmethod
    def _forward(messages, **args):
        rule = messages[-1]["content"].split()[-1]
        return rule if any(rule in turn["content"] for turn in messages[:-1]) else "?"


@pytest.fixture(autouse=True)
def no_critic():
    """Feedback is what the evaluator says."""
    with credit_mode("passthrough"):
        yield


def frozen(data="Keep this.", *said):
    """Return a frozen parameter, with feedback from before."""
    return param(data, *said, role="frozen").requires_grad_(False)


def adding(text=EVERYTHING):
    """Return a model that adds to every text it is asked about."""
    return ScriptedModel(rewriting(lambda current: f"{current}\n{text}"))


def make(kind, params, model, **options):
    """Return an optimizer, if its extra is installed."""
    if kind is MIPRO:
        pytest.importorskip("optuna")
    return kind(params, model, seed=1, **options)


def test_tgd_leaves_frozen_parameters_alone():
    """The others are rewritten, under their own numbers."""
    still, prompt = frozen("Keep this.", "It is bad."), param("Answer.", "Be brief.")
    opt = TGD([still, prompt], adding("Be brief."))
    opt.step()
    assert still.data == "Keep this."
    assert prompt.data == "Answer.\nBe brief."
    assert [change.parameter for r in opt.history for change in r.changes] == [1]


@pytest.mark.parametrize("kind", SEARCHES)
def test_searches_leave_frozen_parameters_alone(kind):
    """No model is asked about them, whatever their grads hold."""
    world, still = Rules(), frozen("Keep this.", "It is bad.")
    world.prompt.append_grad(Variable("Name the rules."))
    model = adding()
    opt = make(kind, [still, world.prompt], model)
    for _ in range(2):
        opt.step(world.closure())
    assert still.data == "Keep this."
    assert EVERYTHING in world.prompt.data
    assert not any("Keep this." in str(r.messages) for r in model.requests)
    assert {c.parameter for r in opt.history for c in r.changes} == {1}


@pytest.mark.parametrize("kind", [PatchTGD, GEPA, BeamTGD, OPRO, FeedbackDescent])
def test_searches_without_training_samples_leave_them_alone(kind):
    """Here feedback is what is in the grads, and some is left from before."""
    world, still = Rules(), frozen("Keep this.", "It is bad.")
    world.prompt.append_grad(Variable("Name the rules."))
    opt = make(kind, [still, world.prompt], adding())
    opt.step(world.closure(train=False))
    assert still.data == "Keep this."
    assert EVERYTHING in world.prompt.data


@pytest.mark.parametrize("kind", [PatchTGD, GEPA, OPRO, MIPRO, SIMBA])
def test_what_is_frozen_between_steps_stays(kind):
    """No earlier candidate brings back what the parameter held then."""
    world = Two()
    opt = make(kind, [world.prompt, world.other], adding())
    opt.step(world.closure())
    assert EVERYTHING in world.prompt.data
    world.prompt.data = "Mind alpha."
    world.prompt.requires_grad_(False)
    opt.step(world.closure())
    assert world.prompt.data == "Mind alpha."
    assert {one.values[0] for one in opt.candidates} == {"Mind alpha."}
    assert {one.mean for one in opt.candidates} <= {None, 0.25, 1.0}


def test_a_parameter_that_thaws_is_optimized_again():
    """It is looked at in every step whether a parameter is frozen."""
    world = Two()
    opt = PatchTGD([world.other, world.prompt], adding())
    world.other.requires_grad_(False)
    opt.step(world.closure())
    world.prompt.data = "Answer."
    world.prompt.requires_grad_(False)
    world.other.requires_grad_(True)
    opt.step(world.closure())
    assert world.prompt.data == "Answer."
    assert EVERYTHING in world.other.data


def test_frozen_demonstrations_stay():
    """Rows are drawn for the others."""
    rows = [["old", "row"]]
    still, demos = Demos(rows), Demos()
    still.requires_grad_(False)
    pool = [["box", "boxes"], ["cat", "cats"]]
    for opt in (
        FewShot([still, demos], pool=pool, demos=1, gate=Always()),
        RandomDemos([still, demos], pool=pool, demos=1),
    ):
        opt.step(lambda: float(len(demos.data)))
        assert still.data == rows
        assert demos.data


def test_simba_adds_rows_where_the_text_is_frozen():
    """What is left to learn are demonstrations."""
    world = Desk("Answer alpha.")
    world.prompt.requires_grad_(False)
    opt = SIMBA([world.prompt, world.demos], ScriptedModel(), seed=1, proposals=12)
    opt.step(world.closure())
    assert world.prompt.data == "Answer alpha."
    assert opt.history


def test_shuffled_feedback_takes_nothing_from_frozen_parameters():
    """Their feedback is not another one's."""
    still, prompt = frozen("Keep this.", "It is bad."), param("Answer.", "Be brief.")
    model = adding()
    ShuffledFeedback(TGD([still, prompt], model)).step()
    shown = between(model.requests[0].messages[1]["content"], "feedback")
    assert shown == "Be brief."


@pytest.mark.parametrize(
    "make_one",
    [
        lambda still: TGD([still], ScriptedModel()),
        lambda still: TGD([still]),
        lambda still: RandomRewrite([still], ScriptedModel()),
        lambda still: NoOp([still]),
    ],
)
def test_with_everything_frozen_a_step_changes_nothing(make_one):
    """It costs nothing and says so."""
    still = frozen("Keep this.", "It is bad.")
    opt = make_one(still)
    with pytest.warns(RuntimeWarning, match="requires_grad_"):
        opt.step()
    assert still.data == "Keep this."
    assert opt.history == []


@pytest.mark.parametrize("kind", SEARCHES)
def test_with_everything_frozen_a_search_changes_nothing(kind):
    """No model is asked for a text."""
    world, model = Rules(), ScriptedModel()
    world.prompt.requires_grad_(False)
    opt = make(kind, [world.prompt], model)
    with pytest.warns(RuntimeWarning, match="requires_grad_"):
        opt.step(world.closure())
    assert world.prompt.data == "Answer."
    assert model.requests == []


def test_samples_of_frozen_rows_are_not_collected_in_vain():
    """A frozen parameter's own evidence gives no rows to it."""
    still = Demos()
    still.requires_grad_(False)
    gradient = Variable("", "feedback")
    gradient.evidence = (sample(0, "box", output="boxes", success=True),)
    still.append_grad(gradient)
    with pytest.warns(RuntimeWarning, match="requires_grad_"):
        FewShot([still], demos=1).step(lambda: 1.0)
    assert still.data == []
