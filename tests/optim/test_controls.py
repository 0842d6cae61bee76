"""Controls do what their names say, and no more."""

from __future__ import annotations

import copy
import json
import re

import pytest
from optim_helpers import Demos, Rules, param, rewriter, sample, saying

from afnio import Variable
from afnio.autodiff.credit import credit_mode
from afnio.optim import (
    TGD,
    BestOfN,
    FewShot,
    NoOp,
    PatchTGD,
    RandomDemos,
    RandomRewrite,
    ShuffledFeedback,
)
from afnio.optim.gates import Always, Improve


def test_no_op_evaluates_and_changes_nothing():
    """The closure's result is returned."""
    prompt = param("x", "feedback")
    opt = NoOp([prompt])
    assert opt.step(lambda: 0.5) == 0.5
    assert opt.step() is None
    assert prompt.data == "x"


def test_random_rewrite_shows_no_feedback():
    """It rewrites with and without feedback, from the text alone."""
    one, two, model = param("one", "be loud"), param("two"), rewriter()
    RandomRewrite([one, two], model, constraints=["A rule."], temperature=0.2).step()
    assert (one.data, two.data) == ("ONE", "TWO")
    for request in model.requests:
        text = "".join(turn["content"] for turn in request.messages)
        assert "be loud" not in text
        assert "A rule." in text
        assert request.args["temperature"] == 0.2


def test_random_rewrite_takes_a_gate():
    """So that it can be compared with a gated optimizer."""
    prompt = param("old")
    opt = RandomRewrite([prompt], saying("new"), gate=Improve())
    opt.step(lambda: Variable([1.0 if prompt.data == "old" else 0.0]))
    assert prompt.data == "old"
    assert not opt.history[0].accepted


def test_controls_that_read_no_critique_say_so():
    """A Trainer then spares the calls; for a wrapper the wrapped one decides."""
    kinds = (NoOp, RandomRewrite, BestOfN, RandomDemos, FewShot)
    assert {kind.credit_mode for kind in kinds} == {"passthrough"}
    assert ShuffledFeedback(NoOp([param()])).credit_mode == "passthrough"
    assert ShuffledFeedback(TGD([param()], rewriter())).credit_mode == "critic"


def test_best_of_n_keeps_the_best_of_n_texts():
    """It asks n times, without feedback, and evaluates every different text."""
    prompt = param("old", "be loud")
    model = saying("one", "three", "two", "two")
    opt = BestOfN([prompt], model, 4, ["A rule."], temperature=0.9)
    opt.step(lambda: Variable([float(len(prompt.data))]))
    assert prompt.data == "three"
    assert len(model.requests) == len(opt.history) == 4
    assert sum(record.decision is not None for record in opt.history) == 3
    sent = model.requests[0]
    assert "be loud" not in sent.messages[1]["content"]
    assert "A rule." in sent.messages[1]["content"]
    assert sent.args["temperature"] == 0.9


def test_best_of_n_has_a_gate():
    """Nothing better than the present text leaves it."""
    prompt = param("a long text")
    opt = BestOfN([prompt], saying("x"), 1)
    assert opt.requires_closure
    opt.step(lambda: Variable([float(len(prompt.data))]))
    assert prompt.data == "a long text"
    BestOfN([prompt], saying("x"), 1, gate=Always()).step(lambda: 1.0)
    assert prompt.data == "x"


POOL = [[f"q{n}", "a"] for n in range(9)]


def test_random_demos_installs_a_random_set_untested():
    """Every step another one; the seed decides; no evaluation is needed."""

    def drawn(seed):
        demos = Demos()
        opt = RandomDemos([demos], pool=POOL, demos=3, seed=seed)
        assert not opt.requires_closure
        sets = []
        for _ in range(2):
            assert opt.step() is None
            sets.append(demos.data)
        assert [record.accepted for record in opt.history] == [True, True]
        assert [record.step for record in opt.history] == [1, 2]
        assert opt.history[0].changes[0].after == sets[0]
        return sets

    first, second = drawn(0)
    assert len(first) == 3
    assert all(row in POOL for row in first)
    assert first != second
    assert drawn(0) == [first, second]
    assert drawn(1) != [first, second]


def test_random_demos_collects_rows_like_few_shot():
    """From evidence, until there are enough; a closure is only called."""
    demos = Demos()
    gradient = Variable("", "feedback")
    gradient.evidence = (sample(0, "one", target="t"), sample(1, "two", output="x"))
    demos.append_grad(gradient)
    assert RandomDemos([demos], demos=1, labels=False).step(lambda: 0.3) == 0.3
    assert demos.data == []
    RandomDemos([demos], demos=1).step()
    assert demos.data == [["one", "t"]]


class Reader(TGD):
    """Notes what it is told."""

    def __init__(self, params):
        super().__init__(params, saying())
        self.heard = {}

    async def _astep(self, closure=None):
        for item in self._params():
            self.heard[item.role] = [gradient.data for gradient in item.grad]
            self.records = [e for gradient in item.grad for e in gradient.evidence]
        self._steps += 1


def test_shuffled_feedback_goes_to_the_wrong_parameters():
    """None keeps its own, and everything is as before afterwards."""
    params = [param("x", f"about {n}", role=f"p{n}") for n in range(3)]
    before = [list(item.grad) for item in params]
    reader = Reader(params)
    ShuffledFeedback(reader).step()
    assert sorted(reader.heard.values()) == [["about 0"], ["about 1"], ["about 2"]]
    assert all(reader.heard[f"p{n}"] != [f"about {n}"] for n in range(3))
    assert [item.grad for item in params] == before


def test_shuffled_feedback_mixes_up_the_samples():
    """Inputs keep their order; answers and targets belong to other ones."""
    evidence = [sample(n, f"in {n}", output=f"out {n}", target=n) for n in range(4)]
    prompt = param("x", "said", evidence=evidence)
    reader = Reader([prompt])
    ShuffledFeedback(reader).step()
    assert [record.inputs["message"][-1] for record in reader.records] == list("0123")
    wrong = [(int(record.output[-1]), record.target) for record in reader.records]
    assert all(one == other for one, other in wrong)
    assert all(target != n for n, (_, target) in enumerate(wrong))
    assert reader.heard["a prompt"] == ["said"]
    assert prompt.grad[0].evidence == tuple(evidence)


def test_a_bank_replaces_what_is_said():
    """Empty feedback stays empty."""
    prompt = param("x", "said", "")
    reader = Reader([prompt])
    ShuffledFeedback(reader, bank=["foreign"]).step()
    assert reader.heard["a prompt"] == ["foreign", ""]
    assert [gradient.data for gradient in prompt.grad] == ["said", ""]


def test_the_wrapped_optimizer_does_the_rest():
    """Groups, history, hooks, closure and errors are its own; state is resumed."""
    one, calls = Demos(), []
    inner = FewShot([one], pool=POOL, demos=1, candidates=2, rounds=1)
    inner.register_step_pre_hook(lambda opt, args, kwargs: calls.append(opt))
    opt = ShuffledFeedback(inner, seed=3)
    assert opt.requires_closure
    assert opt.step(lambda: 0.5) == 0.5
    assert calls == [inner]
    assert opt.history is inner.history
    assert len(opt.history) == 2
    opt.add_param_group({"params": [Demos()]})
    assert len(inner.param_groups) == 2
    saved = json.loads(json.dumps(opt.state_dict()))
    again = ShuffledFeedback(
        FewShot([{"params": [Demos()]}, {"params": [Demos()]}], pool=POOL), seed=4
    )
    again.load_state_dict(saved)
    assert again.state_dict() == opt.state_dict()
    with pytest.raises(AttributeError):
        copy.copy(opt).unknown


def test_gradients_come_back_after_a_failure():
    """And the random generator is as before."""
    params = [param("x", f"about {n}", role=f"p{n}") for n in range(2)]

    class Failing(Reader):
        async def _astep(self, closure=None):
            raise ValueError("boom")

    opt = ShuffledFeedback(Failing(params))
    before = opt.state_dict()
    with pytest.raises(ValueError, match="boom"):
        opt.step()
    assert [item.grad[0].data for item in params] == ["about 0", "about 1"]
    assert opt.state_dict() == before


def test_feedback_that_a_search_fetches_is_wrong_too():
    """The request has the answers and targets of other samples."""

    def request(mislead):
        world = Rules()
        opt = PatchTGD([world.prompt], world.optimizer, proposals=1, batch_size=4)
        made = ShuffledFeedback(opt, seed=1) if mislead else opt
        with credit_mode("passthrough"):
            made.step(world.closure())
        assert opt.evidence_filter is None
        text = world.optimizer.requests[0].messages[1]["content"]
        pairs = r"needs (\w+)\n.*?expected: <value_\w+>\n(\w+)\n"
        found = re.findall(pairs, text, re.DOTALL)
        assert len(found) == 4
        return [asked == wanted for asked, wanted in found]

    assert all(request(mislead=False))
    assert sum(request(mislead=True)) < 2
