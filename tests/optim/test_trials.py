"""Trials: candidates are evaluated at once, and nobody sees another's data."""

from __future__ import annotations

import asyncio

import pytest

from afnio import Variable, eager, is_grad_enabled
from afnio._dispatch import run_sync
from afnio.autodiff.evaluator import DeterministicEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.errors import BadRequestError, InputTypeError
from afnio.models.testing import ScriptedModel
from afnio.optim._trials import Trials, best
from afnio.optim.gates import Improve, Race


def program(model):
    """Return a prompt, and a closure that runs it on two inputs without waiting."""
    prompt = Variable("old", "prompt", requires_grad=True)
    messages = [
        {"role": "system", "content": [prompt]},
        {"role": "user", "content": [Variable("{x}")]},
    ]

    def closure():
        reply = ChatCompletion.apply(model, messages, inputs={"x": ["1", "2"]})
        return DeterministicEvaluator.apply(
            reply, Variable(["", ""]), lambda text, target: len(text), "length"
        )

    return prompt, closure


def judge(prompt, closure, texts):
    """Return the verdicts on texts for a prompt."""

    async def work():
        trials = Trials(closure, "test")
        parent = await trials.evaluate({})
        return await trials.judge([{prompt: text} for text in texts], parent, Improve())

    return run_sync(work())


def test_candidates_run_at_once_each_with_its_own_text():
    """The first call is answered only when all six are waiting."""
    waiting, seen = 0, []

    async def reply(messages, **args):
        nonlocal waiting
        text = messages[0]["content"]
        seen.append(text)
        if text != "old":
            waiting += 1
            while waiting < 6:
                await asyncio.sleep(0)
        return text

    prompt, closure = program(ScriptedModel(reply))
    with eager(False):
        verdicts = judge(prompt, closure, ["four", "seven77", "x"])
    assert [verdict.trial.scores for verdict in verdicts] == [(4, 4), (7, 7), (1, 1)]
    assert [verdict.decision.accepted for verdict in verdicts] == [True, True, False]
    assert prompt.data == "old"
    assert sorted(seen) == sorted(["old", "four", "seven77", "x"] * 2)


def test_a_closure_that_waits_inside_still_sees_only_its_own_text():
    """Candidates then take turns."""
    model = ScriptedModel(lambda messages, **args: messages[0]["content"])
    prompt, closure = program(model)

    def waiting():
        score, _ = closure()
        before = score.data
        assert closure()[0].data == before == [len(prompt.data)] * 2
        return score

    verdicts = judge(prompt, waiting, ["a", "bb", "ccc"])
    assert [verdict.trial.scores for verdict in verdicts] == [(1, 1), (2, 2), (3, 3)]


def test_a_closure_that_reads_the_parameter_sees_the_candidate():
    """Even without any model call."""
    prompt = Variable("old", "p", requires_grad=True)
    verdicts = judge(prompt, lambda: [float(len(prompt.data))], ["a", "bb"])
    assert [verdict.trial.scores[0] for verdict in verdicts] == [1, 2]


def test_an_async_closure_works_too():
    """It is awaited with the candidate installed."""
    prompt = Variable("old", "p", requires_grad=True)

    async def closure():
        await asyncio.sleep(0)
        return len(prompt.data)

    verdicts = judge(prompt, closure, ["a", "long one"])
    assert [verdict.trial.scores[0] for verdict in verdicts] == [1, 8]
    assert prompt.data == "old"


def test_candidates_are_evaluated_without_gradients():
    """Evaluation records no graph."""
    prompt, modes = Variable("old", "p", requires_grad=True), []

    def closure():
        modes.append(is_grad_enabled())
        return 1

    judge(prompt, closure, ["a"])
    assert modes == [False, False]
    assert is_grad_enabled()


def test_a_failed_model_call_is_raised_and_the_text_restored():
    """Not only errors of the closure itself count."""

    def reply(messages, **args):
        if messages[0]["content"] == "bad":
            raise BadRequestError("refused")
        return "ok"

    prompt, closure = program(ScriptedModel(reply))
    with pytest.raises(BadRequestError):
        judge(prompt, closure, ["bad"])
    assert prompt.data == "old"


def test_no_scores_at_all_is_an_error():
    """An empty evaluation proves nothing."""
    prompt = Variable("old", "p", requires_grad=True)
    with pytest.raises(InputTypeError, match="no scores"):
        judge(prompt, list, ["a"])


def test_early_winners_are_evaluated_on_everything_when_ranks_are_wanted():
    """A lucky first block does not beat a better candidate."""
    prompt, seen = Variable("old", "p", requires_grad=True), []
    table = {"old": [0, 0, 0], "lucky": [1, 0, 0], "best": [1, 1, 0]}

    class Blocks:
        blocks = 3

        def __call__(self, block):
            seen.append((prompt.data, block))
            return [table[prompt.data][block]] * 8

    async def work(rank):
        trials = Trials(Blocks(), "test")
        parent = await trials.evaluate({})
        candidates = [{prompt: "lucky"}, {prompt: "best"}]
        return await trials.judge(candidates, parent, Race(8, 0.1), rank=rank)

    verdicts = run_sync(work(True))
    assert [verdict.gain for verdict in verdicts] == pytest.approx([1 / 3, 2 / 3])
    assert best(verdicts) == 1
    assert all(verdict.decision.n == 8 for verdict in verdicts)
    seen.clear()
    run_sync(work(False))
    assert ("best", 1) not in seen
