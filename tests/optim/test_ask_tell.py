"""Ask and tell: somebody else evaluates the candidates of a step."""

from __future__ import annotations

import json

import pytest
from optim_helpers import Rules, param

from afnio import Variable
from afnio.autodiff.credit import credit_mode
from afnio.errors import BudgetError, InputTypeError, InputValueError, StateError
from afnio.models import Budget
from afnio.models.testing import ScriptedModel, edits
from afnio.optim import GEPA, PatchTGD


def searching(*texts, **options):
    """Return a prompt with feedback, and an optimizer that proposes these lines."""
    prompt = param("start", "f")
    model = ScriptedModel([edits(text) for text in texts])
    return prompt, PatchTGD([prompt], model, proposals=len(texts), **options)


def tell_all(opt, prompt, scores):
    """Tell the scores of all who wait, by text."""
    for candidate in opt.ask():
        with opt.trying(candidate):
            text = prompt.data
        opt.tell(candidate, scores(text))


def gains(text):
    """Return scores: one line helps, the other does not."""
    return [float("one" in text)] * 8


def test_the_best_is_installed_after_the_last_was_told():
    """The present text is asked about first; decisions are on record as in a step."""
    prompt, opt = searching("one", "two", unite=False)
    asked = opt.ask()
    assert [one.values for one in asked] == [
        ("start",),
        ("start\none",),
        ("start\ntwo",),
    ]
    for candidate in reversed(asked[1:]):
        opt.tell(candidate, gains(candidate.values[0]))
    assert prompt.data == "start"
    assert opt.ask() == asked[:1]
    opt.tell(asked[0], gains("start"))
    assert prompt.data == "start\none"
    assert [record.accepted for record in opt.history] == [True, False]
    assert opt.history[0].decision.wins == 8
    assert opt.history[0].changes[0].feedback == ("f",)
    assert opt.calls == {"optimizer": 2}


def test_known_scores_are_not_asked_for_again():
    """The present text was told in the step before."""
    prompt, opt = searching("one")
    tell_all(opt, prompt, gains)
    opt.param_groups[0]["model_client"] = ScriptedModel([edits("two")])
    asked = opt.ask()
    assert [one.values for one in asked] == [("start\none\ntwo",)]
    opt.tell(asked[0], [0.0] * 8)
    assert prompt.data == "start\none"


def test_all_changes_together_are_a_candidate_too():
    """As in a step, if the preset unites them."""
    prompt, opt = searching("one", "two")
    assert opt.ask()[-1].values == ("start\none\ntwo",)
    assert prompt.data == "start"


@pytest.mark.parametrize("told", range(4))
def test_a_checkpoint_between_ask_and_tell(told):
    """Whatever was told before it is kept; the end is the same."""

    def run(stop):
        prompt, opt = searching("one", "two", unite=False)
        for number, candidate in enumerate(opt.ask()):
            if number == stop:
                saved = json.loads(json.dumps(opt.state_dict()))
                prompt, opt = searching("one", "two", unite=False)
                model = ScriptedModel()
                opt.load_state_dict(saved, model_clients={"model_client": model})
            opt.tell(candidate, gains(candidate.values[0]))
        return prompt.data, [record.to_dict() for record in opt.history]

    assert run(told) == run(None)


def test_a_pool_compares_what_was_told():
    """GEPA keeps candidates of several steps."""
    world = Rules(edits=False)
    opt = GEPA([world.prompt], world.optimizer, proposals=1)
    with credit_mode("passthrough"):
        for _ in range(4):
            opt.clear_grad()
            _, explanation = world.evaluate(world.train)
            explanation.backward()
            for candidate in opt.ask():
                with opt.trying(candidate):
                    scores = world.evaluate(world.val)
                opt.tell(candidate, scores)
    assert world.evaluate(world.val)[0].data == 12
    assert len(opt.candidates) == 5


def test_nothing_usable_is_a_step_without_candidates():
    """It is recorded, and the next ask proposes anew."""
    prompt, opt = searching("start")
    opt.param_groups[0]["model_client"] = ScriptedModel("no edits")
    opt.ask()[0]
    tell_all(opt, prompt, lambda text: [0.0])
    assert "no JSON" in opt.history[0].reason
    assert opt.ask() == []
    assert len(opt.history) == 2


def test_scores_must_fit():
    """Of somebody who was asked about, on the same samples, and numbers."""
    prompt, opt = searching("one")
    start, other = opt.ask()
    opt.tell(start, [0.0, 1.0])
    for wrong, error in (
        ((start, [0.0, 1.0]), InputValueError),
        (("best", [0.0, 1.0]), InputValueError),
        ((other, [1.0]), InputValueError),
        ((other, []), InputValueError),
        ((other, ["a", "b"]), InputTypeError),
    ):
        with pytest.raises(error):
            opt.tell(*wrong)
    with pytest.raises(InputTypeError, match="candidate must have"):
        opt.trying("best")
    opt.tell(other, Variable([1, 1]))
    assert prompt.data == "start\none"
    with pytest.raises(StateError, match="ask"):
        opt.tell(other, [1.0, 1.0])


def test_a_step_has_to_be_told_to_its_end():
    """No other step in between, and no other values."""
    prompt, opt = searching("one")
    start, other = opt.ask()
    with pytest.raises(StateError, match="wait"):
        opt.step(lambda: [1.0])
    opt.tell(start, [0.0])
    prompt.data = "changed"
    with pytest.raises(StateError, match="changed"):
        opt.tell(other, [1.0])
    prompt.data = "start"
    opt.tell(other, [1.0])
    assert prompt.data == "start\none"


def test_asking_after_a_change_proposes_anew():
    """What was asked about other values is dropped."""
    prompt, opt = searching("one")
    opt.ask()
    prompt.data = "changed"
    opt.param_groups[0]["model_client"] = ScriptedModel([edits("two")])
    assert [one.values[0] for one in opt.ask()] == ["changed", "changed\ntwo"]


def test_a_failed_ask_changes_nothing():
    """It can be asked again."""
    _, opt = searching("one")
    before = opt.state_dict()["search"]
    with pytest.raises(BudgetError), Budget(calls=0):
        opt.ask()
    assert opt.state_dict()["search"] == before
    assert len(opt.ask()) == 2
