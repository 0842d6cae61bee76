"""The engine of gated optimizers: rounds, state, transactions, the return rule."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from optim_helpers import Rules, edits, param, rewriter

from afnio import Variable
from afnio.autodiff.credit import credit_mode
from afnio.cognitive import Demonstrations, Parameter
from afnio.errors import (
    BadRequestError,
    BudgetError,
    InputTypeError,
    InputValueError,
    StateError,
)
from afnio.models import Budget
from afnio.models.testing import ScriptedModel
from afnio.models.testing import edits as edits_of
from afnio.optim import (
    GEPA,
    TGD,
    FewShot,
    Minibatch,
    Parts,
    PatchTGD,
    RewriteOptions,
    Search,
    Stop,
)
from afnio.optim.gates import Always, Improve, Race
from afnio.optim.memory import RejectedEdits
from afnio.optim.pools import BestSeen, Current
from afnio.optim.proposers import Patch, Rewrite

REMARKS = ["Please be careful.", "Please take care.", "Please mind everything."]


@pytest.fixture(autouse=True)
def _no_critic():
    """Feedback of the evaluator is passed on as it is."""
    with credit_mode("passthrough"):
        yield


def trained(kind=PatchTGD, steps=8, *, seed=0, **options):
    """Return a world in which an optimizer has made some steps, and the optimizer."""
    world = Rules(edits=kind is PatchTGD)
    opt = kind([world.prompt], world.optimizer, seed=seed, **options)
    closure = world.closure()
    for _ in range(steps):
        opt.step(closure)
    return world, opt


@pytest.mark.parametrize("kind", [PatchTGD, GEPA])
def test_a_closure_that_can_train_is_all_a_search_needs(kind):
    """Without any backward of the user, all rules are found."""
    world, opt = trained(kind)
    score, _ = world.closure()()
    assert score.data == 12
    assert opt.candidates[0].values == ("Answer.",)
    assert [record.accepted for record in opt.history].count(True) >= 2


def test_the_loop_with_backward_works_too():
    """Evidence is what backward left in grad, and any function is a closure."""
    world = Rules()
    opt = PatchTGD([world.prompt], world.optimizer)
    for _ in range(4):
        opt.zero_grad()
        _, explanation = world.evaluate(world.train)
        explanation.backward()
        opt.step(lambda: world.evaluate(world.val))
    assert world.evaluate(world.val)[0].data == 12


def test_scores_of_the_parent_are_kept_between_steps():
    """Only a closure that names its parameters is asked once for the same values."""

    def sent(closure):
        world = Rules()
        parts = Parts(proposer=Patch(), gate=Improve(), pool=Current())
        opt = Search([world.prompt], parts, ScriptedModel("no use"))
        made = closure(world)
        world.prompt.append_grad(Variable("needs alpha"))
        model = ScriptedModel(
            [edits({"action": "add", "find": "", "text": str(n)}) for n in range(2)]
        )
        opt.param_groups[0]["model_client"] = model
        for _ in range(2):
            opt.step(made)
        return len(world.forward.requests)

    assert sent(lambda world: world.closure(train=False)) == 3 * 12
    assert sent(lambda world: lambda: world.evaluate(world.val)) == 4 * 12


def test_kept_scores_are_void_when_something_else_changes():
    """Another Variable that the closure names, or another closure."""
    world, other = Rules(), Variable("x")
    closure = world.closure(train=False)
    closure.parameters.append(other)
    opt = PatchTGD([world.prompt], world.optimizer, gate=Improve())
    world.prompt.append_grad(Variable("f"))
    opt.parts = replace(opt.parts, proposals=1)
    counts = []
    for change in (None, None, "y"):
        if change:
            other.data = change
        before = len(world.forward.requests)
        opt.param_groups[0]["model_client"] = ScriptedModel(
            edits({"action": "add", "find": "", "text": f"text {len(counts)}"})
        )
        opt.step(closure)
        counts.append(len(world.forward.requests) - before)
    assert counts == [24, 12, 24]


def test_a_resumed_search_has_the_same_history():
    """Saved as JSON after any step, loaded elsewhere, it goes on in the same way."""
    for kind in (PatchTGD, GEPA):
        _, whole = trained(kind, 6, seed=3, proposals=2)
        for cut in (0, 1, 3):
            world, first = trained(kind, cut, seed=3, proposals=2)
            saved = json.loads(json.dumps(first.state_dict()))
            second = kind([world.prompt], world.optimizer, seed=9, proposals=2)
            second.load_state_dict(saved, {"model_client": world.optimizer})
            closure = world.closure()
            for _ in range(6 - cut):
                second.step(closure)
            assert second.history == whole.history
            assert second.state_dict()["search"] == whole.state_dict()["search"]


def test_a_failed_step_changes_nothing():
    """Neither the texts, nor the state, nor the random generator."""
    world, opt = trained(steps=1)
    before = (world.prompt.data, json.dumps(opt.state_dict()["search"]["rng"]))
    known = [one.to_dict() for one in opt.candidates]
    good = opt.param_groups[0]["model_client"]
    opt.param_groups[0]["model_client"] = ScriptedModel([BadRequestError("no")] * 2)
    with pytest.raises(BadRequestError):
        opt.step(world.closure())
    assert before == (
        world.prompt.data,
        json.dumps(opt.state_dict()["search"]["rng"]),
    )
    assert [one.to_dict() for one in opt.candidates] == known
    opt.param_groups[0]["model_client"] = good
    opt.step(world.closure())
    assert len(opt.candidates) == len(known) + 1


def test_a_budget_ends_a_step_without_a_trace():
    """The limit is reached inside a step; the texts are those of the last one."""
    world, opt = trained(steps=1)
    before = world.prompt.data
    with pytest.raises(BudgetError), Budget(calls=10):
        opt.step(world.closure())
    assert world.prompt.data == before
    assert sum(opt.calls.values()) > 10


def test_calls_are_counted_by_role():
    """Every call that a step makes is in the ledger."""
    world, opt = trained(steps=2)
    assert opt.calls == {
        "forward": len(world.forward.requests),
        "optimizer": len(world.optimizer.requests),
    }


def test_everything_at_once_runs_at_once():
    """Two proposals are asked for before either is answered."""
    world = Rules()
    waiting = 0

    async def reply(messages, **args):
        import asyncio

        nonlocal waiting
        waiting += 1
        while waiting < 2:
            await asyncio.sleep(0)
        return world._edit(messages)

    opt = PatchTGD([world.prompt], ScriptedModel(reply), proposals=2)
    opt.step(world.closure())
    assert waiting == 2


def test_proposals_look_at_different_failures_first():
    """So they are not the same, and each is numbered."""
    world = Rules()
    PatchTGD([world.prompt], world.optimizer, proposals=2).step(world.closure())
    first, second = (r.messages[1]["content"] for r in world.optimizer.requests)
    assert "proposal number 2" in second
    assert "proposal number" not in first
    assert first.split("failed example:")[1] != second.split("failed example:")[1]


def test_repeated_proposals_are_evaluated_once():
    """Neither what is there already nor what was proposed just before."""
    world = Rules()
    same = ScriptedModel(edits({"action": "add", "find": "", "text": "alpha"}))
    opt = PatchTGD([world.prompt], same, proposals=3)
    opt.step(world.closure())
    reasons = [record.reason for record in opt.history]
    assert reasons[1:] == ["an earlier candidate is the same"] * 2


def test_the_check_refuses_what_does_not_help_where_it_should():
    """It costs the training samples, and no validation at all."""
    world = Rules()
    useless = ScriptedModel(edits({"action": "add", "find": "", "text": "zzz"}))
    opt = PatchTGD([world.prompt], useless, proposals=1, batch_size=4, check=Improve())
    opt.step(world.closure())
    assert len(world.forward.requests) == 8
    [record] = opt.history
    assert not record.accepted
    assert record.reason.startswith("training samples: mean difference +0.000")
    assert record.decision.n == 4
    open_ = PatchTGD([world.prompt], useless, proposals=1, batch_size=4, check=None)
    open_.step(world.closure())
    assert len(world.forward.requests) > 8 + 8


def test_only_finalists_go_on_to_validation():
    """The one that gains most on the training samples; None lets all go on."""
    texts = ["alpha", "alpha beta gamma delta", "beta"]

    def step(finalists):
        world, left = Rules(), list(texts)
        model = ScriptedModel(
            lambda *a, **k: edits({"action": "add", "find": "", "text": left.pop(0)})
        )
        opt = PatchTGD(
            [world.prompt],
            model,
            proposals=3,
            finalists=finalists,
            check=Improve(),
            unite=False,
        )
        opt.step(world.closure())
        return opt.history

    history = step(1)
    assert [record.accepted for record in history] == [False, True, False]
    assert "the best 1 went on" in history[0].reason
    assert all(record.candidate_scores for record in step(None))


def test_rejected_edits_are_shown_with_what_they_cost():
    """The next request lists them; none is listed if the memory is switched off."""
    for rejected, shown in ((16, True), (0, False)):
        world = Rules("alpha beta gamma")
        bad = ScriptedModel(
            [
                edits({"action": "replace", "find": "alpha", "text": "omega"}),
                edits({"action": "add", "find": "", "text": "zzz"}),
            ]
        )
        opt = PatchTGD(
            [world.prompt], bad, proposals=1, batch_size=12, rejected=rejected
        )
        for _ in range(2):
            opt.step(world.closure())
        text = bad.requests[1].messages[1]["content"]
        assert ("+ omega beta gamma\n(mean score -0.250" in text) is shown


def test_what_somebody_else_changed_is_a_new_start():
    """The search goes on from the present text, whatever it is."""
    world, opt = trained(steps=2)
    world.prompt.data = "Another text."
    opt.step(world.closure())
    assert "Another text." in [one.values[0] for one in opt.candidates]
    assert world.prompt.data.startswith("Another text.\n")


def test_the_installed_text_says_how_it_came_about():
    """A Parameter's version carries step and reason."""
    world = Rules()
    world.prompt = Parameter("Answer.", role="prompt")
    opt = PatchTGD([world.prompt], world.optimizer)
    opt.step(world.closure())
    assert [version.value for version in world.prompt.history] == ["Answer."]
    one = Parameter("x", role="p")
    one.append_grad(Variable("f"))
    TGD([one], rewriter()).step()
    one.data = "later"
    assert one.history[-1].note == "TGD: no gate"
    rows = Demonstrations(fields=("word",))
    FewShot([rows], pool=[["a", "b"]], demos=1, rounds=1).step(
        lambda: float(len(rows.data))
    )
    rows.data = [["c", "d"]]
    assert rows.history[-1].note.startswith("FewShot: mean difference")
    world.prompt.data = "later"
    assert world.prompt.history[-1].step == 1
    assert world.prompt.history[-1].note.startswith("PatchTGD: ")


@pytest.mark.parametrize(
    ("stop", "word", "steps"),
    [
        (Stop(target=0.9), "reaches", 4),
        (Stop(patience=2), "accepted nothing", 6),
        (Stop(calls=30), "model calls", 1),
    ],
)
def test_a_search_stops_when_it_has_done_enough(stop, word, steps):
    """Further steps do nothing and cost nothing."""
    world, opt = trained(steps=12, stop_when=stop, proposals=1, batch_size=12)
    assert word in opt.stop_reason
    assert opt.state_dict()["steps"] == steps
    before = len(world.forward.requests)
    assert opt.step(world.closure()) is None
    assert len(world.forward.requests) == before


def test_the_gate_decides():
    """The same candidate is refused by one and accepted by another."""
    for gate, kept in ((Always(), True), (Improve(), False)):
        world = Rules("alpha beta")
        bad = ScriptedModel(edits({"action": "delete", "find": "alpha", "text": ""}))
        opt = PatchTGD(
            [world.prompt], bad, proposals=1, check=None, gate=gate, batch_size=12
        )
        opt.step(world.closure())
        assert world.prompt.data == ("beta" if kept else "alpha beta")
        assert opt.history[0].accepted is kept


def test_the_seed_decides_which_samples_are_drawn():
    """And nothing else does: the same seed asks the same."""

    def request(seed):
        world = Rules()
        opt = PatchTGD([world.prompt], world.optimizer, proposals=1, seed=seed)
        opt.step(world.closure())
        return world.optimizer.requests[0].messages[1]["content"]

    assert request(1) == request(1) != request(2)


def test_limits_of_a_proposal_are_options_and_arguments():
    """Examples shown, attempts made, constraints stated, completion arguments sent."""
    world = Rules()
    useless = ScriptedModel("no edits")
    opt = PatchTGD(
        [world.prompt],
        useless,
        ["Be brief."],
        proposals=1,
        options=RewriteOptions(failures=2, attempts=2),
        temperature=0.3,
    )
    with pytest.warns(RuntimeWarning, match="2 rewrites were unusable"):
        opt.step(world.closure())
    text = useless.requests[0].messages[1]["content"]
    assert len(useless.requests) == 2
    assert text.count("failed example:") == 2
    assert "Be brief." in text
    assert useless.requests[0].args["temperature"] == 0.3


# -- the return rule ------------------------------------------------------------------


def lucky(table):
    """Return a prompt, an optimizer that has accepted two texts, and a closure."""
    prompt = param("start", "f")
    texts = ["lucky", "solid"]
    model = ScriptedModel(
        [
            edits({"action": "replace", "find": w, "text": t})
            for w, t in (("start", "lucky"), ("lucky", "solid"))
        ]
    )

    def closure():
        return [float(v) for v in table[prompt.data].pop(0)]

    closure.parameters = [prompt]
    parts = Parts(proposer=Patch(), gate=Always(), pool=BestSeen())
    opt = Search([prompt], parts, model)
    assert len(texts) == 2
    return prompt, opt, closure


def test_the_return_rule_draws_again():
    """What only looked good is not returned; what is better on fresh draws is."""
    prompt, opt, closure = lucky(
        {
            "start": [[0] * 7 + [1], [0] * 7 + [1]],
            "lucky": [[1] * 8, [0, 0] + [1] * 6],
            "solid": [[1] * 7 + [0], [1] * 7 + [0]],
        }
    )
    opt.step(closure)
    assert prompt.data == "lucky"
    opt.step(closure)
    assert prompt.data == "lucky"
    assert opt.finish(closure) == [1] * 7 + [0]
    assert prompt.data == "solid"
    record = opt.history[-1]
    assert record.reason == "better than the start on 1 fresh draw (p = 0.0391 of 2)"
    assert record.candidate_scores == (1,) * 7 + (0,)
    assert record.parent_scores == (0,) * 7 + (1,)


def test_of_equals_the_shortest_is_returned():
    """Ties let a search drift; what it has gathered on the way is left behind."""
    prompt = param("Start.", "f")
    model = ScriptedModel([edits_of("Good rule."), *map(edits_of, REMARKS)])

    def closure():
        return [float("Good" in prompt.data)] * 8

    closure.parameters = [prompt]
    opt = PatchTGD([prompt], model, proposals=1, prune=False)
    for _ in range(4):
        prompt.append_grad(Variable("Say more."))
        opt.step(closure)
    assert prompt.data == "\n".join(["Start.", "Good rule.", *REMARKS])
    opt.finish(closure)
    assert prompt.data == "Start.\nGood rule."


def test_the_return_rule_can_return_the_start():
    """Nothing that was found need be better; ``top`` says how many are asked."""
    prompt, opt, closure = lucky(
        {
            "start": [[0, 1], [1, 1]],
            "lucky": [[1, 1], [0, 0]],
            "solid": [[0, 1]],
        }
    )
    opt.step(closure)
    opt.step(closure)
    opt.finish(closure, top=1)
    assert prompt.data == "start"
    assert "kept the start: not surely better" in opt.history[-1].reason


def test_what_is_unclear_is_drawn_again_up_to_three_times():
    """More draws of the same samples may settle it; else the start is returned."""

    def finished(later):
        table = {
            "start": [[0] * 8] * 4,
            "lucky": [[0] * 8] + [[1, 1] + [0] * 6] + [later] * 2,
            "solid": [[0] * 8] * 2,
        }
        prompt, opt, closure = lucky({k: list(v) for k, v in table.items()})
        for _ in range(2):
            opt.step(closure)
        opt.finish(closure)
        return prompt.data, opt.history[-1].reason

    assert finished([0] * 8) == (
        "start",
        "kept the start: not surely better on 3 fresh draws (p = 0.25 of 2)",
    )
    assert finished([1] * 6 + [0] * 2) == (
        "lucky",
        "better than the start on 2 fresh draws (p = 0.0156 of 2)",
    )


def test_the_return_rule_decides_on_what_the_budget_allows():
    """More draws are a luxury; without the first there is no decision."""
    table = {"start": [[0] * 8] * 2, "lucky": [[0] * 8, [1, 1] + [0] * 6]}
    table["solid"] = [[0] * 8] * 2
    prompt, opt, closure = lucky(table)

    def limited():
        if not table[prompt.data]:
            raise BudgetError("spent")
        return closure()

    limited.parameters = [prompt]
    for _ in range(2):
        opt.step(limited)
    opt.finish(limited)
    assert prompt.data == "start"
    before = len(opt.history)
    with pytest.raises(BudgetError):
        opt.finish(limited)
    assert len(opt.history) == before


@pytest.mark.parametrize("options", [{"top": 0}, {"alpha": 2}, {"alpha": "a"}])
def test_wrong_options_of_the_return_rule_are_refused(options):
    """Before anything is drawn."""
    opt = PatchTGD([param("x")], ScriptedModel())
    with pytest.raises((InputTypeError, InputValueError), match=next(iter(options))):
        opt.finish(lambda: pytest.fail("called"), **options)


def test_without_a_choice_nothing_is_drawn():
    """A search that found nothing returns what it has, for free."""
    prompt = param("x")
    opt = PatchTGD([prompt], ScriptedModel())
    assert opt.finish(lambda: pytest.fail("called")) is None


# -- mistakes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"edit_lr": "4"}, InputTypeError, "edit_lr"),
        ({"edit_lr": 0}, InputValueError, "edit_lr"),
        ({"proposals": 1.5}, InputTypeError, "proposals"),
        ({"proposals": 0}, InputValueError, "proposals"),
        ({"rejected": None}, InputTypeError, "rejected"),
        ({"gate": "race"}, InputTypeError, "gate"),
        ({"gate": Race}, InputTypeError, r"Race\(\)"),
        ({"check": 3}, InputTypeError, "check"),
        ({"finalists": 0}, InputValueError, "finalists"),
        ({"unite": 1}, InputTypeError, "unite"),
        ({"batch_size": "8"}, InputTypeError, "batch_size"),
        ({"seed": "a"}, InputTypeError, "seed"),
        ({"options": {"attempts": 3}}, InputTypeError, "options"),
        ({"stop_when": 100}, InputTypeError, "stop_when"),
        ({"momentum": 3}, InputValueError, "momentum"),
        ({"proposal": 3}, InputValueError, "proposals"),
        ({"constraints": 3}, InputTypeError, "constraints"),
        ({"model_client": "openai/x"}, InputTypeError, "model_client"),
    ],
)
def test_wrong_options_are_refused_at_construction(options, error, word):
    """Each message names the option, and no traceback of Python's comes up."""
    with pytest.raises(error, match=word):
        PatchTGD([param()], **options)


def test_wrong_stops_and_samplers_are_refused():
    """Each names its option."""
    with pytest.raises(InputTypeError, match="patience"):
        Stop(patience="2")
    with pytest.raises(InputTypeError, match="target"):
        Stop(target="high")
    with pytest.raises(InputValueError, match="tries"):
        Minibatch(4, tries=0)
    with pytest.raises(InputTypeError, match="proposer"):
        Parts(proposer=None, gate=Always(), pool=Current())


def test_demonstrations_are_not_rewritten():
    """The message says who does that."""
    with pytest.raises(InputTypeError, match="FewShot"):
        PatchTGD([Demonstrations()])


def test_the_state_of_another_optimizer_is_refused():
    """Before anything has changed."""
    from optim_helpers import Demos

    opt = FewShot([Demos()])
    saved = opt.state_dict()
    saved["param_groups"] = PatchTGD([param()]).state_dict()["param_groups"]
    with pytest.raises(StateError, match="candidates"):
        PatchTGD([param()]).load_state_dict(saved)


def test_a_state_that_is_none_is_refused():
    """An empty file is no reason for a raw error."""
    with pytest.raises(InputValueError, match="param_groups"):
        PatchTGD([param()]).load_state_dict({})
    with pytest.raises(InputTypeError, match="dict"):
        PatchTGD([param()]).load_state_dict(None)


def test_a_search_needs_a_closure():
    """And says so, before any model is asked."""
    opt = PatchTGD([param("x", "f")], ScriptedModel())
    assert opt.requires_closure
    with pytest.raises(StateError, match=r"step\(closure\)"):
        opt.step()


def test_a_closure_that_can_train_must_say_on_how_many_samples():
    """``train`` without ``train_size`` is a mistake."""

    def closure():
        return 1.0

    closure.train = lambda numbers: 1.0
    with pytest.raises(InputTypeError, match="train_size"):
        PatchTGD([param("x")], ScriptedModel()).step(closure)
    closure.train_size = 3
    with pytest.raises(InputTypeError, match="score, explanation"):
        PatchTGD([param("x")], ScriptedModel()).step(closure)


def test_a_proposal_that_stays_unusable_is_a_record_and_a_warning():
    """The text stays, and the step goes on."""
    world = Rules()
    opt = PatchTGD([world.prompt], ScriptedModel("I cannot."), proposals=2)
    with pytest.warns(RuntimeWarning, match="stays as it was"):
        opt.step(world.closure())
    assert world.prompt.data == "Answer."
    assert ["no JSON" in record.reason for record in opt.history] == [True, True]


def test_a_preset_is_a_choice_of_parts():
    """What the module's description shows works."""

    class Drift(Search):
        def __init__(self, params, model_client=None, **completion_args):
            parts = Parts(
                proposer=Rewrite(),
                gate=Always(),
                pool=Current(),
                memory=RejectedEdits(2),
            )
            super().__init__(params, parts, model_client, **completion_args)

    world = Rules(edits=False)
    opt = Drift([world.prompt], world.optimizer, temperature=0.5)
    opt.step(world.closure())
    assert world.optimizer.requests[0].args["temperature"] == 0.5
    assert world.prompt.data != "Answer."


def test_groups_have_their_own_edit_budget_and_model():
    """The requests differ as the groups do."""
    models = [
        ScriptedModel(edits({"action": "add", "find": "", "text": t})) for t in "ab"
    ]
    groups = [
        {"params": [param("one", "f")], "model_client": models[0], "edit_lr": 1},
        {
            "params": [param("two", "f")],
            "model_client": models[1],
            "constraints": ["C"],
        },
    ]
    opt = PatchTGD(groups, edit_lr=7, proposals=1)
    opt.step(lambda: 1.0)
    first, second = (model.requests[0].messages[1]["content"] for model in models)
    assert "at most one edit," in first
    assert "at most 7 edits," in second
    assert "<constraint_" in second
    assert "<constraint_" not in first
    assert [change.after for change in opt.history[0].changes] == ["one\na", "two\nb"]


def test_blocks_must_be_a_number():
    """A closure that says something else is told so."""

    def closure(block):
        return 1.0

    closure.blocks = "3"
    with pytest.raises(InputTypeError, match=r"closure\.blocks"):
        PatchTGD([param("x", "f")], ScriptedModel()).step(closure)
