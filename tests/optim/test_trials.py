"""Trials: candidates are evaluated at once, and nobody sees another's data."""

from __future__ import annotations

import asyncio

import pytest

from afnio import Variable, eager, is_grad_enabled
from afnio._dispatch import run_sync
from afnio.autodiff.evaluator import DeterministicEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.errors import BadRequestError, InputTypeError, InputValueError
from afnio.models.testing import ScriptedModel
from afnio.optim._racing import Entrant, chosen_among, judge, standings
from afnio.optim._trials import Trials
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


def judged(prompt, closure, texts, gate=None):
    """Return the rulings on texts for a prompt."""

    async def work():
        trials = Trials(closure, "test")
        entrants = [Entrant({prompt: text}, n) for n, text in enumerate(texts)]
        return await judge(trials, entrants, Entrant({}), gate or Improve())

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
        verdicts = judged(prompt, closure, ["four", "seven77", "x"])
    assert [verdict.scores for verdict in verdicts] == [(4, 4), (7, 7), (1, 1)]
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

    verdicts = judged(prompt, waiting, ["a", "bb", "ccc"])
    assert [verdict.scores for verdict in verdicts] == [(1, 1), (2, 2), (3, 3)]


def test_a_closure_that_reads_the_parameter_sees_the_candidate():
    """Even without any model call."""
    prompt = Variable("old", "p", requires_grad=True)
    verdicts = judged(prompt, lambda: [float(len(prompt.data))], ["a", "bb"])
    assert [verdict.scores[0] for verdict in verdicts] == [1, 2]


def test_an_async_closure_works_too():
    """It is awaited with the candidate installed."""
    prompt = Variable("old", "p", requires_grad=True)

    async def closure():
        await asyncio.sleep(0)
        return len(prompt.data)

    verdicts = judged(prompt, closure, ["a", "long one"])
    assert [verdict.scores[0] for verdict in verdicts] == [1, 8]
    assert prompt.data == "old"


def test_candidates_are_evaluated_without_gradients():
    """Evaluation records no graph."""
    prompt, modes = Variable("old", "p", requires_grad=True), []

    def closure():
        modes.append(is_grad_enabled())
        return 1

    judged(prompt, closure, ["a"])
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
        judged(prompt, closure, ["bad"])
    assert prompt.data == "old"


def test_no_scores_at_all_is_an_error():
    """An empty evaluation proves nothing."""
    prompt = Variable("old", "p", requires_grad=True)
    with pytest.raises(InputTypeError, match="no scores"):
        judged(prompt, list, ["a"])


def test_early_winners_are_evaluated_on_everything_when_ranks_are_wanted():
    """A lucky first block does not beat a better candidate."""
    prompt, seen = Variable("old", "p", requires_grad=True), []
    table = {"old": [0, 0, 0], "lucky": [1, 0, 0], "best": [1, 1, 0]}

    class Blocks:
        blocks = 3

        def __call__(self, block):
            seen.append((prompt.data, block))
            return [table[prompt.data][block]] * 8

    verdicts = judged(prompt, Blocks(), ["lucky", "best"], Race(8, 0.1))
    totals = standings([verdict.entrant for verdict in verdicts])
    assert totals == {0: 8, 1: 16}
    assert chosen_among(verdicts).entrant.number == 1
    assert all(verdict.decision.n == 8 for verdict in verdicts)
    seen.clear()
    judged(prompt, Blocks(), ["best"], Race(8, 0.1))
    assert ("best", 1) not in seen
    assert ("old", 1) not in seen


def test_a_sample_without_a_score_is_left_out_on_both_sides():
    """It is no zero: neither side gains by it, whoever lacks it."""
    prompt = Variable("old", "p", requires_grad=True)
    table = {"old": [1, None, 0, 1], "new": [None, 1, 1, 1]}
    [ruling] = judged(prompt, lambda: table[prompt.data], ["new"])
    assert (ruling.parent_scores, ruling.scores) == ((0, 1), (1, 1))
    assert ruling.decision.n == 2
    table["new"] = [None, 1, None, None]
    with pytest.raises(InputValueError, match="score on both sides"):
        judged(prompt, lambda: table[prompt.data], ["new"])


def test_a_score_that_is_no_number_is_refused():
    """Infinite and undefined scores cannot be compared."""
    prompt = Variable("old", "p", requires_grad=True)
    with pytest.raises(InputValueError, match="finite"):
        judged(prompt, lambda: float("nan"), ["new"])
