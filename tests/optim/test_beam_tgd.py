"""BeamTGD: critiques, rewrites, paraphrases, the beam, and the screen."""

from __future__ import annotations

import json

import pytest
from catalogue_helpers import (
    criticised,
    resumed,
    rewritten,
    stepped,
    user,
    varied,
    words,
)
from optim_helpers import Rules

from afnio.autodiff.credit import credit_mode
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models.testing import ScriptedModel
from afnio.optim import BeamTGD, Stop
from afnio.optim.gates import Margin
from afnio.optim.screens import Halving


def model():
    """Return a model that knows the three requests."""
    return words(Give=criticised, Rewrite=rewritten, Write_a_variation=varied)


def step(world, steps=1, **options):
    """Return an optimizer after some steps."""
    asked = options.pop("model", None) or model()
    return stepped(BeamTGD, world, steps, asked, **{"beam": 2, **options})


def test_it_learns_what_the_examples_show():
    """All four rules are in the prompt at the end."""
    world = Rules()
    step(world, 5)
    assert all(rule in world.prompt.data for rule in ("alpha", "beta", "gamma"))


def test_one_call_gives_the_reasons_and_each_has_its_rewrite():
    """The critic sees failures and no answer is asked twice for them."""
    world, asked = Rules(), model()
    opt = step(world, model=asked, critiques=3, paraphrases=0, group_size=4)
    assert opt.calls["critic"] == 1
    assert "Give 3 reasons why" in user(asked)
    assert user(asked).count("failed example:") == 4
    feedback = [user(asked, n) for n in range(1, len(asked.requests))]
    assert all("It lacks" in text for text in feedback)
    assert len(opt.history) == 3


@pytest.mark.parametrize(("critiques", "paraphrases"), [(1, 0), (2, 1), (2, 2)])
def test_candidates_multiply(critiques, paraphrases):
    """Every rewrite comes with its variations."""
    opt = step(Rules(), critiques=critiques, paraphrases=paraphrases)
    assert len(opt.history) == critiques * (1 + paraphrases)


def test_a_variation_rewords_the_rewrite_and_is_recorded_against_the_parent():
    """The request shows the rewrite; the record starts at the parent's text."""
    asked = model()
    opt = step(Rules(), model=asked, critiques=1)
    last = user(asked, 2)
    assert last.startswith("Write a variation")
    assert "Answer. " in last
    [change] = opt.history[1].changes
    assert change.before == "Answer."
    assert change.after.startswith("Please: Answer. ")


def test_groups_of_failures_get_reasons_of_their_own():
    """Two critic calls with half of the failures each."""
    asked = model()
    opt = step(Rules(), model=asked, groups=2, group_size=2, critiques=1, batch_size=8)
    assert opt.calls["critic"] == 2
    assert [user(asked, n).count("failed example:") for n in (0, 1)] == [2, 2]
    assert user(asked, 0) != user(asked, 1)


def test_the_screen_saves_evaluations():
    """Those that are out were seen on few samples; without it all see everything."""
    few, many = Rules(size=40), Rules(size=40)
    opt = step(few, critiques=4, beam=1, block=5)
    step(many, critiques=4, beam=1, block=5, screen=None)
    assert len(few.forward.requests) < len(many.forward.requests)
    assert any("the screen let 1 of" in record.reason for record in opt.history)
    halved = step(Rules(size=40), critiques=4, beam=1, block=5, screen=Halving(0.5))
    assert [r.reason for r in halved.history] != [r.reason for r in opt.history]


def test_the_beam_goes_on_from_several_candidates():
    """As many parents as the beam holds, in later steps."""

    def parents(beam):
        opt = step(Rules(), 3, beam=beam, critiques=2, paraphrases=0)
        last = [record for record in opt.history if record.step == 3]
        return len({change.before for record in last for change in record.changes})

    assert parents(1) == 1
    assert parents(3) == 3


def test_batch_size_gate_and_constraints_matter():
    """Samples per candidate, who decides, and what is shown."""
    world = Rules(size=12)
    step(world, batch_size=6, critiques=1, paraphrases=0)
    assert len(world.forward.requests) == 6 + 12 + 12
    assert not any(r.accepted for r in step(Rules(), gate=Margin(0.9)).history)
    asked = model()
    step(Rules(), model=asked, constraints=["Stay polite."])
    assert all("Stay polite." in user(asked, n) for n in (0, 1))


def test_too_few_reasons_leave_the_others_out():
    """A draft without a critique asks nothing and says so."""
    lone = words(
        Give=lambda messages: json.dumps({"reason_1": "It lacks alpha"}),
        Rewrite=rewritten,
        Write_a_variation=varied,
    )
    opt = step(Rules(), model=lone, critiques=3, paraphrases=0)
    assert opt.calls["optimizer"] == 1
    fates = [record.reason for record in opt.history[1:]]
    assert fates == [
        "no critique to answer to: fewer than 2 were given",
        "no critique to answer to: fewer than 3 were given",
    ]


def test_somebody_else_may_give_the_reasons():
    """Then the one who rewrites is not asked for them."""
    critic, asked = words(Give=criticised), words(Rewrite=rewritten)
    opt = step(Rules(), model=asked, critic=critic, critiques=2, paraphrases=0)
    assert len(critic.requests) == opt.calls["critic"] == 1
    assert len(asked.requests) == 2


def test_an_unusable_critique_changes_nothing():
    """It is asked for again with the reason, then given up."""
    world = Rules()
    asked = ScriptedModel("No idea.")
    opt = step(world, model=asked)
    assert world.prompt.data == "Answer."
    assert opt.calls["critic"] == 3
    assert (
        "cannot be used: it is no JSON object"
        in (asked.requests[1].messages[-1]["content"])
    )
    assert "no critique to answer to" in opt.history[0].reason


def test_a_resumed_run_has_the_same_history():
    """State is JSON."""
    world = Rules()

    def make():
        return BeamTGD([world.prompt], model(), beam=2, seed=3)

    whole, again = resumed(make, world.closure, [world.prompt])
    assert whole == again


def test_a_closure_without_training_samples_uses_grad():
    """What backward left is criticised."""
    world, asked = Rules(), model()
    with credit_mode("passthrough"):
        world.evaluate(world.train[:4])[1].backward()
    opt = BeamTGD([world.prompt], asked, critiques=1, paraphrases=0)
    opt.step(world.closure(train=False))
    assert "failed example:" in user(asked)
    assert world.prompt.data != "Answer."


def test_options_are_checked():
    """By name."""
    prompt = Rules().prompt
    for name in ("beam", "critiques", "groups", "group_size", "batch_size"):
        with pytest.raises(InputValueError, match=name):
            BeamTGD([prompt], **{name: 0})
    with pytest.raises(InputValueError, match="paraphrases"):
        BeamTGD([prompt], paraphrases=-1)
    with pytest.raises(InputTypeError, match="critic must be a chat client"):
        BeamTGD([prompt], critic="openai/gpt")
    with pytest.raises(InputTypeError, match="screen"):
        BeamTGD([prompt], screen="ucb")
    with pytest.raises(InputValueError, match="did you mean 'critiques'"):
        BeamTGD([prompt], critique=3)
    with pytest.raises(StateError, match="parameters"):
        BeamTGD([prompt]).step(lambda: 1.0)
    opt = BeamTGD([prompt], stop_when=Stop(calls=1))
    assert opt.stop_reason == ""
