"""GEPA: reflection, parents from the front, merges."""

from __future__ import annotations

import json

import pytest
from optim_helpers import Rules, answer, between

from afnio.autodiff.credit import credit_mode
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models.testing import ScriptedModel
from afnio.optim import GEPA
from afnio.optim.gates import Always


def step(world, steps=1, **options):
    """Return an optimizer after some steps."""
    opt = GEPA([world.prompt], options.pop("model", world.optimizer), **options)
    closure = world.closure()
    for _ in range(steps):
        opt.step(closure)
    return opt


def sent(model, number=0):
    """Return the user message of a request."""
    return model.requests[number].messages[1]["content"]


def test_it_reflects_on_traces_without_a_critic():
    """Input, answer, target and the evaluator's words are there; no critic is set."""
    world = Rules(edits=False)
    step(world, proposals=1, batch_size=3)
    text = sent(world.optimizer)
    assert text.count("failed example:") == 3
    for part in ("input q: ", "answer: ", "expected: ", "feedback: <value_"):
        assert part in text
    assert "Work in two steps" in world.optimizer.requests[0].messages[0]["content"]
    assert GEPA.credit_mode == "passthrough"


@pytest.mark.parametrize(("parents", "proposals"), [(1, 1), (1, 3), (2, 2)])
def test_parents_and_proposals_multiply(parents, proposals):
    """Once there are several candidates to go on from."""
    world = Rules(edits=False)
    opt = step(world, 3, parents=parents, proposals=proposals, seed=1)
    last = [record for record in opt.history if record.step == 3]
    assert len(last) == parents * proposals
    found = {change.before for record in last for change in record.changes}
    assert len(found) == parents


def forgetful(world):
    """Return a model whose texts name one rule only: the one that was missed."""

    def reply(messages, **args):
        return answer(messages, f"Know {world.missing(messages)[1]}.")

    return ScriptedModel(reply)


def test_candidates_that_know_different_things_all_stay():
    """Each is best on some samples, so each can be a parent."""
    world = Rules(edits=False)
    opt = step(world, 10, model=forgetful(world), check=None, gate=Always(), seed=2)
    front = opt.parts.pool.wins(opt.candidates)
    assert sum(1 for won in front.values() if won) == 4


def test_merges_unite_two_candidates():
    """The request shows both; ``merges`` says how many there may be in all."""
    world = Rules(edits=False)
    single = forgetful(world)

    async def reply(messages, **args):
        text = messages[1]["content"]
        if text.startswith("Unite"):
            both = between(text, "current") + " " + between(text, "version")
            return answer(messages, both)
        return (await single.agenerate(messages)).text

    model = ScriptedModel(reply)
    opt = step(
        world, 8, model=model, check=None, gate=Always(), merges=2, proposals=1, seed=2
    )
    merged = [one for one in opt.candidates if len(one.parents) == 2]
    requests = [
        r for r in model.requests if r.messages[1]["content"].startswith("Unite")
    ]
    assert 1 <= len(merged) <= len(requests) == 2
    assert merged[0].values[0].count("Know") == 2
    assert json.dumps(opt.state_dict()["search"]["merged"]) == "2"
    none = step(Rules(edits=False), 8, model=forgetful(world), gate=Always(), merges=0)
    assert all(len(one.parents) < 2 for one in none.candidates)


def test_round_robin_changes_one_parameter_at_a_time():
    """And ``all`` every one that has feedback."""
    from afnio import Variable
    from afnio.autodiff.evaluator import ExactMatchEvaluator
    from afnio.autodiff.lm_ops import ChatCompletion
    from afnio.optim import SampleClosure

    def changed(selector):
        world = Rules(edits=False)
        two = Variable("Second.", "second prompt", requires_grad=True)

        def evaluate(samples):
            turns = [
                {"role": "system", "content": [world.prompt, two]},
                {"role": "user", "content": [Variable("{q}")]},
            ]
            asked = {"q": [sample["q"] for sample in samples]}
            reply = ChatCompletion.apply(world.forward, turns, inputs=asked)
            targets = Variable([sample["a"] for sample in samples])
            return ExactMatchEvaluator.apply(reply, targets)

        params = [world.prompt, two]
        closure = SampleClosure(
            evaluate, world.val, parameters=params, train=world.train
        )
        opt = GEPA(params, world.optimizer, param_selector=selector, proposals=2)
        opt.step(closure)
        return [[change.parameter for change in r.changes] for r in opt.history]

    assert changed("all") == [[0, 1], [0, 1]]
    assert changed("round_robin") == [[1], [0]]


def test_rejected_changes_are_shown():
    """As many as wanted."""

    def shown(rejected):
        world = Rules("alpha beta gamma", edits=False)
        left = ["nothing at all", "delta alpha beta gamma", "x", "y"]
        model = ScriptedModel(lambda messages, **args: answer(messages, left.pop(0)))
        step(world, 2, model=model, proposals=1, batch_size=12, rejected=rejected)
        return "nothing at all" in sent(model, 1)

    assert shown(8)
    assert not shown(0)


def test_the_first_validation_samples_can_end_it():
    """What the first stage refuses is not evaluated on the rest."""
    world = Rules("alpha beta gamma", edits=False)
    model = ScriptedModel(lambda messages, **args: answer(messages, "nothing"))
    step(world, model=model, proposals=1, check=None, batch_size=12)
    seen = [
        request
        for request in world.forward.requests
        if "nothing" in request.messages[0]["content"]
    ]
    assert len(seen) == 8


def test_ties_are_an_option():
    """It is the pool that they are for."""
    assert GEPA([Rules().prompt]).parts.pool.ties == "newest"
    assert GEPA([Rules().prompt], ties="all").parts.pool.ties == "all"


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"param_selector": "roundrobin"}, InputValueError, "round_robin"),
        ({"ties": "old"}, InputValueError, "ties"),
        ({"parents": "2"}, InputTypeError, "parents"),
        ({"merges": -1}, InputValueError, "merges"),
        ({"rejected": "8"}, InputTypeError, "rejected"),
    ],
)
def test_wrong_options_are_refused(options, error, word):
    """Each message names the option."""
    with pytest.raises(error, match=word):
        GEPA([Rules().prompt], **options)


def test_a_pool_needs_a_closure_that_says_what_it_depends_on():
    """Scores of different steps could not be compared otherwise."""
    world = Rules(edits=False)
    opt = GEPA([world.prompt], world.optimizer)
    with pytest.raises(StateError, match=r"closure\.parameters"):
        opt.step(lambda: world.evaluate(world.val))


def test_without_training_samples_it_goes_on_from_what_is_installed():
    """On the feedback of the user's own backward."""
    world = Rules(edits=False)
    opt = GEPA([world.prompt], world.optimizer, proposals=1)
    closure = world.closure(train=False)
    for _ in range(4):
        opt.zero_grad()
        with credit_mode("passthrough"):
            world.evaluate(world.train)[1].backward()
        opt.step(closure)
    assert closure()[0].data == 12
    assert [one.parents for one in opt.candidates] == [(), (0,), (1,), (2,), (3,)]
