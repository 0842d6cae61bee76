"""SIMBA: contrasts between runs, rules and demonstrations."""

from __future__ import annotations

import json
import re

import pytest
from catalogue_helpers import Desk, resumed, stepped, user
from optim_helpers import Rules

from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models.testing import ScriptedModel
from afnio.optim import SIMBA, SampleClosure, ShuffledFeedback
from afnio.optim.gates import Always, Margin


def model():
    """Return a model that makes the rule that the worse run lacks."""

    def reply(messages, **args):
        text = messages[1]["content"]
        return json.dumps({"rule": f"Mind {re.search('needs ([a-z]+)', text)[1]}"})

    return ScriptedModel(reply)


class Moody(Desk):
    """Every second run of a question is right, whatever the prompt says."""

    def __init__(self, **options):
        super().__init__(**options)
        self.asked = {}

    def _forward(self, messages, **args):
        question = messages[-1]["content"]
        self.asked[question] = self.asked.get(question, 0) + 1
        if self.asked[question] % 2:
            return question.split()[-1]
        return super()._forward(messages)


def step(world, steps=1, **options):
    """Return an optimizer after some steps."""
    asked = options.pop("model", None) or model()
    return stepped(SIMBA, world, steps, asked, **options)


def test_a_better_and_a_worse_run_of_one_sample_are_contrasted():
    """The same question twice, with both answers; the rule goes to the end."""
    world, asked = Moody(), model()
    opt = step(world, model=asked, proposals=1)
    text = user(asked)
    questions = re.findall(r"input q: <value_\w+>\n(.+)\n", text)
    assert len(questions) == 2
    assert len(set(questions)) == 1
    worse, better = text.split("successful example:")
    assert "answer: " in worse
    assert "\n?\n" in worse
    assert "\n?\n" not in better
    [change] = opt.history[0].changes
    assert re.fullmatch(r"Answer alpha\.\nMind \w+", change.after)


def test_samples_are_run_several_times():
    """``rollouts`` times ``batch_size``; at least twice."""
    world = Moody(size=12)
    step(world, rollouts=3, batch_size=5, proposals=1, gate=Always(), check=None)
    assert len(world.forward.requests) == 3 * 5 + 2 * 12


def test_without_a_contrast_what_is_expected_stands_for_the_better_run():
    """Runs that all fail alike still teach."""
    world, asked = Rules("Answer alpha."), model()
    step(world, 4, model=asked)
    assert "Mind" in world.prompt.data
    _, better = user(asked).split("successful example:")
    found = re.search(r"answer: <value_\w+>\n(\w+)\n", better)
    assert found[1] in ("beta", "gamma", "delta")


def test_right_runs_become_demonstrations():
    """Without any text to change, no model is asked."""
    world = Moody()
    options = {"gate": Always(), "check": None, "proposals": 1}
    opt = step(world, 3, params=[world.demos], demos=2, **options)
    assert opt.calls.keys() == {"forward"}
    assert 1 <= len(world.demos.data) <= 2
    assert all(question.endswith(rule) for question, rule in world.demos.data)


def test_demo_rate_chooses_between_rules_and_demonstrations():
    """Never, or always."""

    def kinds(rate):
        world = Moody()
        opt = step(world, params=[world.prompt, world.demos], demo_rate=rate)
        found = [change for record in opt.history for change in record.changes]
        return {type(change.after).__name__ for change in found}

    assert kinds(0.0) == {"str"}
    assert kinds(1.0) == {"list"}


def test_options_decide():
    """Candidates, finalists, check, gate and parents."""
    assert len(step(Moody(), proposals=3, batch_size=8).history) == 3
    out = [r.reason for r in step(Rules("x"), proposals=4, finalists=1).history]
    assert any("the best 1 went on" in reason for reason in out)
    assert not any(r.accepted for r in step(Rules(), gate=Margin(1.0)).history)
    refused = step(Rules(), check=Margin(1.0)).history
    assert all(r.reason.startswith("training") for r in refused if r.decision)
    pool = step(Rules(), top=7, temperature=0.5).parts.pool
    assert (pool.k, pool.temperature) == (7, 0.5)


@pytest.mark.filterwarnings("ignore:.*stays as it was:RuntimeWarning")
def test_rejected_changes_are_shown():
    """As many as wanted."""

    def shown(rejected):
        asked = model()
        world = Rules("alpha beta gamma delta?")
        world.train = world.train[:1]
        world.prompt.data = "nothing"
        step(world, 2, model=asked, rejected=rejected, gate=Margin(1.0), proposals=1)
        return user(asked, 1)

    assert "<rejected_" in shown(4)
    assert "<rejected_" not in shown(0)


def test_an_unusable_rule_changes_nothing():
    """And is warned of."""
    world = Rules()
    with pytest.warns(RuntimeWarning, match="stays as it was"):
        step(world, model=ScriptedModel("no json"), proposals=1)
    assert world.prompt.data == "Answer."


def test_finish_compares_candidates_with_rows():
    """Rows are lists; they are compared all the same."""
    world = Moody()
    params = [world.prompt, world.demos]
    opt = step(world, 3, params=params, gate=Always(), check=None)
    opt.finish(world.closure())
    assert opt.history[-1].reason


def test_a_control_can_mislead_it():
    """Then what is contrasted does not belong together."""

    def asked(shuffled):
        world, model_ = Moody(), model()
        opt = SIMBA([world.prompt], model_, seed=1, proposals=2)
        opt = ShuffledFeedback(opt, seed=2) if shuffled else opt
        opt.step(world.closure())
        return user(model_)

    assert asked(shuffled=True) != asked(shuffled=False)


def test_a_resumed_run_has_the_same_history():
    """State is JSON."""
    world = Desk()
    params = [world.prompt, world.demos]

    def make():
        return SIMBA(params, model(), seed=3)

    whole, again = resumed(make, world.closure, params)
    assert whole == again


def test_options_are_checked():
    """By name; it needs training samples."""
    world = Rules()
    with pytest.raises(InputValueError, match="rollouts is 1"):
        SIMBA([world.prompt], rollouts=1)
    for name in ("proposals", "demos", "top", "batch_size"):
        with pytest.raises(InputValueError, match="k is|" + name):
            SIMBA([world.prompt], **{name: 0})
    with pytest.raises(InputValueError, match="demo_rate"):
        SIMBA([world.prompt], demo_rate=2)
    with pytest.raises(InputTypeError, match="gate"):
        SIMBA([world.prompt], gate="strict")
    closure = SampleClosure(lambda samples: 1.0, [1], parameters=[world.prompt])
    with pytest.raises(StateError, match="train"):
        SIMBA([world.prompt]).step(closure)
