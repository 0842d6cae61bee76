"""TGD: what is sent, what is installed, and what a failure leaves behind."""

from __future__ import annotations

import json
import random

import pytest
from optim_helpers import (
    Demos,
    answer,
    between,
    param,
    rewriter,
    sample,
    saying,
)

from afnio import Variable
from afnio._dispatch import gather, run_sync
from afnio.errors import BadRequestError, InputTypeError, InputValueError, StateError
from afnio.models._roles import set_backward_model_client
from afnio.models.testing import ScriptedModel
from afnio.optim import TGD, RewriteOptions, tgd
from afnio.optim.gates import Always, Improve, Race


def sent(model, index=-1):
    """Return everything a request said."""
    return "\n".join(turn["content"] for turn in model.requests[index].messages)


def step(opt, prompt, said):
    """Give feedback and step."""
    opt.clear_grad()
    prompt.append_grad(Variable(said))
    opt.step()


def test_t01_a_step_rewrites_and_remembers():
    """Data is replaced, the closure's pair returned, the old value kept."""
    prompt = param("Initial value", "Use only capital letters")
    pair = (Variable(1), Variable("explanation"))
    opt = TGD([prompt], rewriter(), momentum=3)
    assert opt.step(lambda: pair) is pair
    assert prompt.data == "INITIAL VALUE"
    [(old, grads)] = opt.state[prompt]["momentum_buffer"]
    assert old.data == "Initial value"
    assert old.grad == []
    assert grads == prompt.grad
    assert grads[0] is prompt.grad[0]


def test_t02_without_a_closure_the_result_is_none():
    """As the design decides."""
    assert TGD([param("a", "b")], rewriter()).step() is None


def test_t03_momentum_is_a_window_that_ends_now():
    """Values before updates 2, 3 and 4, and only earlier ones in the prompt."""
    prompt = param("v0")
    model = saying("v1", "v2", "v3", "v4")
    opt = TGD([prompt], model, momentum=3)
    for number in range(1, 5):
        step(opt, prompt, f"feedback {number}")
    buffer = opt.state[prompt]["momentum_buffer"]
    assert [old.data for old, _ in buffer] == ["v1", "v2", "v3"]
    assert [grads[0].data for _, grads in buffer] == [
        f"feedback {n}" for n in (2, 3, 4)
    ]
    for text in ("v1", "v2", "feedback 2", "feedback 3"):
        assert f"\n{text}\n" in sent(model)
    assert "v0" not in sent(model)
    assert "feedback 1" not in sent(model)


@pytest.mark.parametrize("momentum", [0, 1])
def test_t04_a_short_window_shows_no_history(momentum):
    """Window 0 keeps nothing; window 1 keeps the current step only."""
    prompt, model = param("v0"), saying("v1", "v2")
    opt = TGD([prompt], model, momentum=momentum)
    step(opt, prompt, "one")
    step(opt, prompt, "two")
    assert len(opt.state[prompt].get("momentum_buffer", [])) == momentum
    assert "\none\n" not in sent(model)


@pytest.mark.parametrize("said", [(), ("",), ("", " \n")])
def test_t05_empty_feedback_costs_no_call(said):
    """Nothing changes, nothing is recorded."""
    prompt, model = param("x", *said), ScriptedModel()
    opt = TGD([prompt], model, momentum=2)
    opt.step()
    assert (prompt.data, model.requests, opt.history) == ("x", [], [])
    assert not opt.state_dict()["state"]


def test_t06_the_functional_form_works_in_place():
    """Data and the contents of the buffer list are replaced."""
    prompt = param("text", "one", "two")
    buffers = [[]]
    own = buffers[0]
    result = tgd(
        [prompt], [prompt.grad], buffers, rewriter(), None, None, ["rule"], 1, top_p=1
    )
    assert result is None
    assert prompt.data == "TEXT"
    assert buffers[0] is own
    [(old, grads)] = own
    assert (old.data, grads) == ("text", prompt.grad)
    with pytest.raises(InputValueError, match="one of each"):
        tgd([prompt], [], [[]], rewriter())


def test_t07_constraints_are_texts_or_variables():
    """Both reach the prompt, from the optimizer and from the parameter."""
    prompt, model = param("x", "y"), rewriter()
    TGD([prompt], model, constraints=["No braces.", Variable("Be short.")]).step()
    assert "\nNo braces.\n" in sent(model)
    assert "\nBe short.\n" in sent(model)
    TGD([param("x", "y")], model, constraints="One rule.").step()
    assert "\nOne rule.\n" in sent(model)


def test_t08_parameters_are_rewritten_concurrently_in_order():
    """One call each; the result does not depend on who answers first."""
    params = [param(f"text {n}", "shout") for n in range(5)]
    waiting = []

    async def reply(messages, **args):
        import asyncio

        waiting.append(messages)
        while len(waiting) < 5:
            await asyncio.sleep(0)
        for _ in range(random.Random(len(messages[1]["content"])).randrange(20)):
            await asyncio.sleep(0)
        return answer(messages, between(messages[1]["content"], "current").upper())

    opt = TGD(params, ScriptedModel(reply))
    opt.step()
    assert [p.data for p in params] == [f"TEXT {n}" for n in range(5)]
    assert [r.changes[0].parameter for r in opt.history] == list(range(5))


def test_t09_custom_messages_and_inputs_take_the_place_of_ours():
    """Placeholders are filled, our words are gone, the contract is there."""
    prompt, model = param("x", "y"), saying("new")
    messages = [
        {"role": "system", "content": [Variable("You are {persona}.")]},
        {
            "role": "user",
            "content": [Variable("Fix {current}"), Variable("by {feedback}")],
        },
    ]
    TGD([prompt], model, messages, {"persona": Variable("a poet")}).step()
    assert prompt.data == "new"
    assert "You are a poet." in sent(model)
    assert "How to rewrite" not in sent(model)
    assert "\ny\n" in sent(model)


def test_t10_a_failed_call_changes_nothing_anywhere():
    """Data, state and history stay, though another rewrite had arrived."""
    one, two = param("one", "f"), param("two", "f")

    def reply(messages, **args):
        text = between(messages[1]["content"], "current")
        if text == "two":
            raise BadRequestError("refused")
        return answer(messages, "ONE")

    model = ScriptedModel(reply)
    opt = TGD([one, two], model, momentum=2)
    with pytest.raises(BadRequestError):
        opt.step()
    assert (one.data, two.data) == ("one", "two")
    assert (dict(opt.state), opt.history, opt.state_dict()["steps"]) == ({}, [], 0)
    assert len(one.grad) == 1


def test_a_refused_rewrite_leaves_one_parameter_and_warns():
    """The others are rewritten; the record says why this one was not."""
    one, two = param("one {x}", "f", role="the greeting"), param("two", "f")

    def reply(messages, **args):
        asked = messages[1]["content"]
        return answer(messages, "lost" if "one {x}" in asked else "TWO")

    opt = TGD([one, two], ScriptedModel(reply), momentum=2)
    with pytest.warns(RuntimeWarning, match="the greeting.*lacks the placeholders"):
        opt.step()
    assert (one.data, two.data) == ("one {x}", "TWO")
    assert [record.accepted for record in opt.history] == [False, True]
    assert "{x}" in opt.history[0].reason
    assert opt.history[0].changes[0].attempts == 3
    assert one not in opt.state


def test_every_setting_of_a_group_overrides_the_default():
    """Client, constraints, momentum and completion arguments; live changes count."""
    one, two = param("one", "f"), param("two", "f")
    model, other = rewriter(), rewriter()
    own = {
        "params": [two],
        "model_client": other,
        "constraints": ["Own rule."],
        "momentum": 1,
        "completion_args": {"temperature": 0.0},
    }
    opt = TGD([{"params": [one]}, own], model, constraints=["Rule."], temperature=1.0)
    opt.step()
    assert model.requests[0].args["temperature"] == 1.0
    assert other.requests[0].args["temperature"] == 0.0
    assert "Own rule." in sent(other)
    assert "Own rule." not in sent(model)
    assert two in opt.state
    assert one not in opt.state
    opt.param_groups[0]["momentum"] = 2
    opt.param_groups[0]["completion_args"] = {"seed": 5}
    one.data, two.grad = "again", None
    opt.step()
    assert len(opt.state[one]["momentum_buffer"]) == 1
    assert model.requests[1].args["seed"] == 5


def test_evidence_reaches_the_prompt_within_limits():
    """Failing samples first, at least one success, each once."""
    evidence = [
        sample(n, f"bad {n}", output="no", target=f"want {n}") for n in range(9)
    ]
    evidence += [
        sample(n, f"good {n}", output="ok", success=True) for n in range(9, 13)
    ]
    model = rewriter()
    TGD([param("x", "f", "g", evidence=evidence)], model).step()
    assert sent(model).count("failed example:") == 6
    assert sent(model).count("successful example:") == 2
    assert "\nwant 5\n" in sent(model)
    options = RewriteOptions(failures=1, successes=0)
    opt = TGD([param("x", "f", evidence=evidence)], model, options=options)
    opt.step()
    assert sent(model).count("failed example:") == 1
    assert "successful example:" not in sent(model)
    assert opt.history[0].changes[0].failures == 1


def test_max_length_is_told_and_kept():
    """A longer text is refused; a parameter's own limit goes first."""

    class Short(Variable):
        __slots__ = ("max_length",)

    prompt = Short("x", "short", requires_grad=True)
    prompt.max_length = 3
    prompt.append_grad(Variable("f"))
    model = saying("four", "ab")
    TGD([prompt], model, options=RewriteOptions(max_length=100)).step()
    assert prompt.data == "ab"
    assert "at most 3 characters" in sent(model, 0)
    model = saying("x" * 200, "short enough")
    TGD([param("x", "f")], model, options=RewriteOptions(max_length=100)).step()
    assert "200 characters; at most 100" in sent(model)


def test_the_default_model_is_the_backward_model():
    """It is looked up when the step runs."""
    prompt = param("x", "f")
    opt = TGD([prompt])
    with pytest.raises(StateError, match="backward model"):
        opt.step()
    with set_backward_model_client(rewriter(), completion_args={"temperature": 0.5}):
        opt.step()
    assert prompt.data == "X"


def test_wrong_kinds_are_refused_at_construction():
    """Each message names the option or the parameter."""
    model = ScriptedModel()
    with pytest.raises(InputTypeError, match="FewShot"):
        TGD([Demos()], model)
    with pytest.raises(InputTypeError, match="model_client"):
        TGD([param()], "openai/gpt")
    with pytest.raises(InputTypeError, match="momentum"):
        TGD([param()], model, momentum=0.9)
    with pytest.raises(InputValueError, match="momentum"):
        TGD([param()], model, momentum=-1)
    with pytest.raises(InputTypeError, match="constraints"):
        TGD([param()], model, constraints=[3])
    with pytest.raises(InputTypeError, match=r"messages\[0\]"):
        TGD([param()], model, messages=[{"role": "user"}])
    with pytest.raises(InputValueError, match="gate"):
        TGD([param()], model, options=RewriteOptions(candidates=2))
    with pytest.raises(InputTypeError, match="decide"):
        TGD([param()], model, gate="race")
    with pytest.raises(InputTypeError, match="constraints"):
        TGD([param()], model, constraints=3)
    with pytest.raises(InputTypeError, match="inputs"):
        TGD([param()], model, inputs=["x"])
    with pytest.raises(InputTypeError, match="content"):
        TGD([param()], model, messages=[{"role": "user", "content": 3}])
    with pytest.raises(InputTypeError, match="options"):
        TGD([param()], model, options={"attempts": 2})
    with pytest.raises(InputTypeError, match="attempts"):
        RewriteOptions(attempts="3")
    with pytest.raises(InputTypeError, match="attempts"):
        RewriteOptions(attempts=None)


def test_a_parameter_without_text_is_refused_before_any_call():
    """Numbers are not rewritten, and nobody else is either."""
    model = rewriter()
    opt = TGD([param("x", "f"), param(3, "f", role="a number")], model)
    with pytest.raises(InputTypeError, match="a number"):
        opt.step()
    assert model.requests == []


def test_a_repeated_run_is_the_same():
    """Same feedback, same requests, same result."""

    def run():
        prompt, model = param("v0"), saying("v1", "v2")
        opt = TGD([prompt], model, momentum=2)
        step(opt, prompt, "one")
        step(opt, prompt, "two")
        return prompt.data, [r.messages for r in model.requests], opt.history

    assert run() == run()


def test_momentum_survives_saving_and_loading():
    """The next prompt of the restored optimizer is the same."""
    prompt, model = param("v0"), saying("v1")
    opt = TGD([prompt], model, momentum=3, temperature=0.3)
    step(opt, prompt, "one")
    saved = json.loads(json.dumps(opt.state_dict()))
    requests = []
    for kind in (opt, TGD([prompt], ScriptedModel(), momentum=3)):
        client = saying("v2")
        kind.load_state_dict(saved, {"model_client": client})
        prompt.data = "v1"
        step(kind, prompt, "two")
        requests.append(client.requests[0])
    assert requests[0].messages == requests[1].messages
    assert "\nv0\n" in requests[1].messages[1]["content"]
    assert requests[1].args["temperature"] == 0.3


# -- with a gate ------------------------------------------------------------------


def scoring(prompt, table, calls=None):
    """Return a closure that scores the prompt's text."""

    def closure():
        if calls is not None:
            calls.append(prompt.data)
        return Variable(table[prompt.data])

    return closure


GOOD, SAME, BAD = [1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "kept"), [("good", True), ("same", False), ("bad", False)]
)
def test_a_gate_decides_on_paired_scores(text, kept):
    """The result is that of the value that stays, and the record has the scores."""
    prompt = param("old", "f")
    table = {"old": SAME, "good": GOOD, "same": SAME, "bad": BAD}
    opt = TGD([prompt], saying(text), gate=Improve(), momentum=1)
    result = opt.step(scoring(prompt, table))
    assert prompt.data == (text if kept else "old")
    assert result.data == table[prompt.data]
    [record] = opt.history
    assert record.accepted is kept
    assert record.decision.accepted is kept
    assert record.parent_scores == tuple(map(float, SAME))
    assert record.candidate_scores == tuple(map(float, table[text]))
    assert (prompt in opt.state) is kept


def test_the_gate_is_what_decides():
    """Another gate accepts what the first one refused."""
    prompt = param("old", "f")
    opt = TGD([prompt], saying("bad"), gate=Always())
    opt.step(scoring(prompt, {"old": GOOD, "bad": BAD}))
    assert prompt.data == "bad"


def test_the_best_of_several_candidates_is_taken():
    """All are recorded; a repeated one is not evaluated again."""
    prompt, calls = param("old", "f"), []
    table = {"old": BAD, "better": SAME, "best": GOOD}
    left = ["better", "best", "better"]
    model = ScriptedModel(lambda messages, **args: answer(messages, left.pop(0)))
    opt = TGD([prompt], model, gate=Improve(), options=RewriteOptions(candidates=3))
    opt.step(scoring(prompt, table, calls))
    assert prompt.data == "best"
    assert sorted(calls) == ["best", "better", "old"]
    assert [record.accepted for record in opt.history] == [False, True, False]
    assert "gains more" in opt.history[0].reason
    assert "the same" in opt.history[2].reason
    assert "proposal number" not in sent(model, 0)
    assert "proposal number 2" in sent(model, 1)


def test_rejected_rewrites_are_shown_and_not_repeated():
    """The next step tells the model what did not do better; ``rejected`` caps it."""
    prompt = param("old", "f")
    model = saying("bad", "bad", "good")
    opt = TGD([prompt], model, gate=Improve())
    closure = scoring(prompt, {"old": SAME, "bad": BAD, "good": GOOD})
    opt.step(closure)
    opt.step(closure)
    assert "<rejected_" in sent(model, 1)
    assert "tried before" in sent(model, 2)
    assert prompt.data == "good"
    other = param("old", "f")
    model = saying("bad", "bad")
    opt = TGD([other], model, gate=Improve(), options=RewriteOptions(rejected=0))
    opt.step(scoring(other, {"old": SAME, "bad": BAD}))
    opt.step(scoring(other, {"old": SAME, "bad": BAD}))
    assert "<rejected_" not in sent(model)


def test_a_gate_needs_a_closure():
    """The Trainer can ask; a step without one is an error."""
    opt = TGD([param("x", "f")], rewriter(), gate=Improve())
    assert opt.requires_closure
    assert not TGD([param()], rewriter()).requires_closure
    with pytest.raises(StateError, match=r"step\(closure\)"):
        opt.step()
    with pytest.raises(InputTypeError, match="function"):
        opt.step(3)


def test_without_feedback_nothing_is_evaluated():
    """No candidate, no calls."""
    calls = []
    opt = TGD([param("x", "")], ScriptedModel(), gate=Improve())
    assert opt.step(lambda: calls.append(1)) is None
    assert calls == []


def test_a_failing_closure_changes_nothing():
    """The parameter has its old data again, the record is empty."""
    prompt = param("old", "f")

    def closure():
        if prompt.data == "NEW":
            raise ValueError("boom")
        return 1.0

    opt = TGD([prompt], saying("NEW"), gate=Improve())
    with pytest.raises(ValueError, match="boom"):
        opt.step(closure)
    assert (prompt.data, opt.history, dict(opt.state)) == ("old", [], {})


def test_a_race_stops_evaluating_a_clear_loser():
    """With a closure in blocks, the losing candidate sees the first block only."""
    prompt = param("old", "f")
    seen = []

    class Blocks:
        blocks = 4

        def __call__(self, block):
            seen.append((prompt.data, block))
            return Variable([1] * 8 if prompt.data == "old" else [0] * 8)

    opt = TGD([prompt], saying("bad"), gate=Race(block=8, alpha=0.1))
    opt.step(Blocks())
    assert [block for text, block in seen if text == "old"] == [0]
    assert [block for text, block in seen if text == "bad"] == [0]
    [record] = opt.history
    assert (record.accepted, record.decision.n) == (False, 8)
    assert len(record.parent_scores) == len(record.candidate_scores) == 8


def test_steps_work_inside_a_running_loop():
    """The awaited form is the only implementation."""
    prompts = [param("a", "f"), param("b", "f")]
    opts = [TGD([prompt], rewriter()) for prompt in prompts]

    async def main():
        return await gather(opt.astep(lambda: "done") for opt in opts)

    assert run_sync(main()) == ["done", "done"]
    assert [prompt.data for prompt in prompts] == ["A", "B"]
