"""OPRO: scored versions, examples, no critique."""

from __future__ import annotations

import pytest
from catalogue_helpers import resumed, stepped, user, wanted, words
from optim_helpers import Rules, answer, between, saying

from afnio.autodiff.credit import credit_mode
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models.testing import ScriptedModel
from afnio.optim import OPRO
from afnio.optim.gates import Margin


def model():
    """Return a model that adds a rule that an example needs."""

    def reply(messages, **args):
        text = messages[1]["content"]
        new = [*wanted(text), "more"][0]
        return answer(messages, f"{between(text, 'current')} {new}")

    return words(Write_a_new_text=reply)


def step(world, steps=1, **options):
    """Return an optimizer after some steps."""
    asked = options.pop("model", None) or model()
    return stepped(OPRO, world, steps, asked, **{"proposals": 2, **options})


def test_the_first_request_shows_the_present_text_with_its_score():
    """So the model knows what to beat."""
    asked = model()
    step(Rules("Answer alpha."), model=asked)
    version = between(user(asked), "version")
    assert version.startswith("Answer alpha.\n<feedback_")
    assert "mean score 0.250" in version


def test_versions_are_shown_by_score_the_best_last():
    """As many as wanted, each once."""
    texts = ["alpha beta", "none", "alpha", "alpha beta gamma", "x y", "z"]
    asked = saying(*texts)
    step(Rules(), 3, model=asked, top=3)
    text = user(asked, 5)
    places = [text.index(f"\n{shown}\n") for shown in ("alpha", *texts[0:1], texts[3])]
    assert places == sorted(places)
    assert text.count("mean score") == 3
    assert text.count("mean score 0.750") == 1


def test_examples_show_inputs_and_what_is_expected_only():
    """No answer, no score, no feedback: nothing is said about what was wrong."""
    asked = model()
    step(Rules(), model=asked, examples=5)
    text = user(asked)
    assert text.count("example:\n") == 5
    assert "expected: " in text
    for word in ("answer: ", "score: ", "failed", "successful"):
        assert word not in text.split("Answer with")[0].replace("mean score", "")


def test_every_proposal_is_evaluated_and_the_best_is_installed():
    """Whatever came before it."""
    world = Rules()
    opt = step(world, model=saying("alpha", "alpha beta"))
    assert [record.accepted for record in opt.history] == [True, True]
    assert world.prompt.data == "alpha beta"
    assert opt.calls == {"forward": 3 + 3 * 12, "optimizer": 2}


def test_a_gate_may_decide_instead():
    """Then worse texts do not stay."""
    opt = step(Rules(), model=saying("alpha", "x"), gate=Margin(0.2))
    assert [record.accepted for record in opt.history] == [True, False]


def test_it_learns_step_by_step():
    """From scores and examples alone."""
    world = Rules()
    step(world, 5)
    assert all(rule in world.prompt.data for rule in ("alpha", "beta", "gamma"))


def test_without_training_samples_grad_gives_the_examples():
    """Those that backward left."""
    world, asked = Rules(), model()
    with credit_mode("passthrough"):
        world.evaluate(world.train[:4])[1].backward()
    opt = OPRO([world.prompt], asked, proposals=1)
    opt.step(world.closure(train=False))
    assert user(asked).count("example:\n") == 4


def test_a_text_that_cannot_be_used_changes_nothing():
    """And is warned of."""
    world = Rules()
    with pytest.warns(RuntimeWarning, match="stays as it was"):
        step(world, model=ScriptedModel("no tags"), proposals=1)
    assert world.prompt.data == "Answer."


def test_a_resumed_run_has_the_same_history():
    """State is JSON."""
    world = Rules()

    def make():
        return OPRO([world.prompt], model(), proposals=2, seed=3)

    whole, again = resumed(make, world.closure, [world.prompt])
    assert whole == again


def test_options_are_checked():
    """By name."""
    prompt = Rules().prompt
    for name in ("proposals", "top", "examples"):
        with pytest.raises(InputValueError, match=name):
            OPRO([prompt], **{name: 0})
    with pytest.raises(InputTypeError, match="top"):
        OPRO([prompt], top="all")
    with pytest.raises(StateError, match="parameters"):
        OPRO([prompt]).step(lambda: 1.0)
