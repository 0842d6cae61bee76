"""MIPRO: options that are found once, and the search over their combinations."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from catalogue_helpers import Desk, resumed, stepped, user
from optim_helpers import Rules, answer

from afnio.autodiff.credit import credit_mode
from afnio.errors import InputTypeError, InputValueError, MissingExtraError, StateError
from afnio.models.testing import ScriptedModel
from afnio.optim import MIPRO
from afnio.optim.gates import Always, Margin

pytest.importorskip("optuna")

TEXTS = ["Mind beta.", "Mind gamma and delta.", "Hello.", "Mind alpha.", "Hm."]


def model():
    """Return a model that describes data and has a few texts."""

    def reply(messages, **args):
        text = messages[1]["content"]
        if text.startswith("Describe"):
            return json.dumps({"summary": "Questions that name a rule."})
        aims = ("creative", "simple", "precise", "Say who", "at stake")
        place = next((n for n, aim in enumerate(aims) if aim in text[:200]), 4)
        return answer(messages, TEXTS[place])

    return ScriptedModel(reply)


def step(world, steps=1, **options):
    """Return an optimizer after some steps."""
    asked = options.pop("model", None) or model()
    params = options.pop("params", None) or [world.prompt, world.demos]
    return stepped(MIPRO, world, steps, asked, params=params, **options)


def test_options_are_found_once():
    """Later steps make no optimizer calls; the present values are an option."""
    world, asked = Desk("Answer."), model()
    opt = step(world, 3, model=asked, instructions=4, demo_sets=3, demos=2)
    texts, sets = opt.space
    assert texts == ["Answer.", *TEXTS[:3]]
    assert sets[:2] == [[], sets[1]]
    assert len(sets) == 3
    assert all(1 <= len(rows) <= 2 for rows in sets[1:])
    assert opt.calls["optimizer"] == len(asked.requests) == 4


def test_proposals_see_summary_program_examples_and_a_tip():
    """Each another tip; no verdict on any example."""
    asked = model()
    step(Desk("Answer."), model=asked, instructions=3)
    summary, *proposals = (user(asked, n) for n in range(3))
    assert summary.count("<sample>") == 12
    for text in proposals:
        assert "Questions that name a rule." in text
        assert "# run 1: score" in text
        assert "example:\ninput q: " in text
        assert "failed example" not in text
    assert "Be creative" in proposals[0]
    assert "simple and short" in proposals[1]


def test_combinations_are_tried_and_the_best_is_evaluated_in_full():
    """Trials see a block each; one of them goes to the gate."""
    world = Desk("Answer.")
    opt = step(world, trials=3, minibatch=1, bootstrap=6)
    assert len(opt.history) == 3
    judged = [record for record in opt.history if record.decision]
    assert len(judged) == 1
    assert judged[0].decision.n == 12
    others = [record.reason for record in opt.history if not record.decision]
    assert all("on 4 samples; the best mean went on" in said for said in others)
    assert len(world.forward.requests) == 6 + 12 + 3 * 4 + 8


def test_it_finds_a_good_combination():
    """Better than any one of its parts."""
    world = Desk("Answer.")
    opt = step(world, 6, demos=2)
    best = max(one.mean for one in opt.candidates)
    assert best >= 0.75
    assert world.prompt.data != "Answer."


def test_texts_or_demonstrations_alone():
    """Either kind of parameter will do."""
    world = Desk("Answer.")
    opt = step(world, 2, params=[world.demos], demos=4)
    assert "optimizer" not in opt.calls
    assert world.demos.data
    world = Rules("Answer.")
    opt = step(world, 2, params=[world.prompt])
    assert len(opt.space) == 1
    assert world.prompt.data == TEXTS[1]


def test_labels_may_stand_as_answers():
    """Or only what was right."""

    def answers(labels):
        opt = step(Desk("Answer alpha."), labels=labels, instructions=1)
        return {row[1] for rows in opt.space[1] for row in rows}

    assert answers(labels=False) == {"alpha"}
    assert len(answers(labels=True)) > 1


def test_numbers_decide():
    """Blocks per trial, trials that are random, and the gate."""
    world = Desk("Answer.")
    step(world, trials=2, minibatch=3, bootstrap=6)
    assert len(world.forward.requests) == 6 + 12 + 2 * 12
    wide = step(Desk("Answer."), 5, startup=99).history
    keen = step(Desk("Answer."), 5, startup=1).history
    assert [r.to_dict() for r in wide] != [r.to_dict() for r in keen]
    assert not any(r.accepted for r in step(Desk(), 2, gate=Margin(1.0)).history)
    assert any(r.accepted for r in step(Desk("alpha beta"), gate=Always()).history)


def test_a_search_that_has_tried_everything_does_nothing():
    """No combination is evaluated again once it is known in full."""
    world = Rules("Answer.")
    opt = step(world, 8, params=[world.prompt], instructions=2)
    spent = len(world.forward.requests)
    opt.step(world.closure())
    assert len(world.forward.requests) == spent


def test_without_training_samples_grad_is_the_source():
    """Rows and examples are what backward left."""
    world = Desk("Answer alpha.")
    with credit_mode("passthrough"):
        world.evaluate(world.train[:6])[1].backward()
    opt = MIPRO([world.prompt, world.demos], model(), seed=1)
    opt.step(world.closure(train=False))
    assert len(opt.space[1]) > 1


def test_unusable_replies_leave_the_present_text():
    """Then there is nothing to search, and a warning says so."""
    world = Rules("Answer.")
    with pytest.warns(RuntimeWarning, match="no text for the parameter"):
        opt = step(world, params=[world.prompt], model=ScriptedModel("no"))
    assert opt.space == [["Answer."]]
    assert world.prompt.data == "Answer."


def test_a_resumed_run_has_the_same_history():
    """State is JSON: options and trials are in it."""
    world = Desk("Answer.")
    params = [world.prompt, world.demos]

    def make():
        return MIPRO(params, model(), seed=3)

    whole, again = resumed(make, world.closure, params)
    assert whole == again
    assert whole


def test_optuna_says_nothing(caplog):
    """And its own log level is put back."""
    logger = logging.getLogger("optuna")
    before = logger.level
    with caplog.at_level(logging.INFO):
        step(Desk("Answer."))
    assert logger.level == before
    assert not [r for r in caplog.records if r.name.startswith("optuna")]


def test_a_missing_extra_is_named(monkeypatch):
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'afnio\[optuna\]'"):
        MIPRO([Rules().prompt])


def test_it_has_no_ask_and_tell():
    """Trials are of samples that it chooses."""
    with pytest.raises(StateError, match=r"call step\(closure\)"):
        MIPRO([Rules().prompt]).ask()


def test_options_are_checked():
    """By name."""
    prompt = Rules().prompt
    names = ("instructions", "demo_sets", "demos", "bootstrap", "trials", "minibatch")
    for name in (*names, "startup"):
        with pytest.raises(InputValueError, match="batch_size|" + name):
            MIPRO([prompt], **{name: 0})
    with pytest.raises(InputTypeError, match="labels"):
        MIPRO([prompt], labels="yes")
    with pytest.raises(StateError, match="parameters"):
        MIPRO([prompt]).step(lambda: 1.0)
