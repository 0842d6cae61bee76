"""A dry run says what a backward would send, and changes nothing."""

from __future__ import annotations

import asyncio

import pytest
from autodiff_helpers import Breaks

from afnio import Variable
from afnio.autodiff import adry_run, credit_mode, critic_prompt, dry_run
from afnio.autodiff._dry_run import STAND_IN
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.models import Budget, ReplyCache, set_backward_model_client, use_cache
from afnio.models.testing import ScriptedModel, feedback


def critic(log):
    """Return a critic that notes what it was asked."""
    answer = feedback("be exact")

    def reply(messages, **args):
        log.append(messages)
        return answer(messages, **args)

    return ScriptedModel(reply)


def program(prompt="Answer.", answers="no"):
    """Return a tracked prompt, and the reply to one question."""
    system = Variable(prompt, "system prompt", requires_grad=True)
    messages = [
        {"role": "system", "content": [system]},
        {"role": "user", "content": [Variable("Why?", "question")]},
    ]
    return system, ChatCompletion.apply(ScriptedModel(answers), messages)


def batch(*letters):
    """Return a prompt, a tracked batch, and the replies, which repeat the batch."""
    system = Variable("Answer.", "system prompt", requires_grad=True)
    items = Variable(list(letters), "letters", requires_grad=True)
    messages = [
        {"role": "system", "content": [system]},
        {"role": "user", "content": [Variable("{x}", "question")]},
    ]
    echo = ScriptedModel(lambda messages, **_: messages[-1]["content"])
    return system, items, ChatCompletion.apply(echo, messages, inputs={"x": items})


def test_dry_run_returns_the_prompts_and_changes_nothing():
    """The prompts are what a backward then really sends."""
    system, reply = program()
    calls = dry_run(reply, Variable("too short"))
    assert len(calls) == 1
    assert calls[0].characters > 0
    assert system.grad == []
    log = []
    with set_backward_model_client(critic(log)):
        reply.backward(Variable("too short"))
    assert list(calls[0].messages) == list(log[0])


def test_dry_run_of_two_calls_in_a_row():
    """What an earlier critic would say is stood in for, and said so."""
    _, first = program()
    model = ScriptedModel(lambda messages, **args: "longer")
    second = ChatCompletion.apply(model, [{"role": "user", "content": [first]}])
    calls = dry_run(second, Variable("bad"))
    assert len(calls) == 2
    assert STAND_IN not in str(calls[0].messages)
    assert STAND_IN in str(calls[1].messages)


def test_dry_run_of_full_success_sends_nothing():
    """Samples that are right need no critic."""
    _, reply = program(answers="yes")
    assert dry_run(ExactMatchEvaluator.apply(reply, "yes")[1]) == ()


def test_a_batch_has_one_call_per_failing_sample():
    """The prompts of a batch are those that are then sent, in the same order."""
    _, _, reply = batch("a", "b", "c", "d")
    explanation = ExactMatchEvaluator.apply(reply, ["a", "?", "c", "!"])[1]
    calls = dry_run(explanation)
    assert len(calls) == 2
    log = []
    with set_backward_model_client(critic(log)):
        explanation.backward()
    assert [list(call.messages) for call in calls] == log


def test_inputs_restrict_what_is_asked_about():
    """Critics are asked only about what leads to the wanted leaves."""
    system, items, reply = batch("a")
    (call,) = dry_run(reply, Variable("bad"), inputs=items)
    asked = call.messages[1]["content"]
    assert "input_3: letters" in asked
    assert "input_1: system prompt" in asked
    other = Variable("x", "other", requires_grad=True)
    assert dry_run(reply, Variable("bad"), inputs=other) == ()
    assert (system.grad, items.grad) == ([], [])


def test_several_roots():
    """What several roots send is counted together."""
    replies = [program()[1] for _ in range(3)]
    assert len(dry_run(replies, [Variable("bad")] * 3)) == 3


def test_passthrough_sends_nothing():
    """No critic is asked in this mode, so none is in the dry run either."""
    _, reply = program()
    with credit_mode("passthrough"):
        assert dry_run(reply, Variable("bad")) == ()


def test_the_critics_own_prompt_is_shown():
    """A critic prompt in force is the one that would be sent."""
    _, reply = program()
    with critic_prompt(Variable("Criticise as JSON.", "critic")):
        (call,) = dry_run(reply, Variable("bad"))
    assert call.messages[0]["content"] == "Criticise as JSON."
    assert call.characters == sum(len(turn["content"]) for turn in call.messages)


def test_neither_cache_nor_budget_notice(tmp_path):
    """What the stand-in says is not stored, and costs nothing."""
    _, reply = program()
    assert reply.data == "no"
    cache = ReplyCache(tmp_path / "replies.sqlite", mode="replay")
    with use_cache(cache), Budget(calls=0):
        assert len(dry_run(reply, Variable("bad"))) == 1
    cache.close()


def test_a_failing_node_fails_the_dry_run_and_changes_nothing(monkeypatch):
    """The error is the one that backward would raise; the graph can be used again."""
    system, reply = program()
    reply.retain_grad()
    result = Breaks.apply(reply)
    with pytest.raises(KeyError, match="broken"):
        dry_run(result, Variable("bad"))
    assert (system.grad, reply.grad) == ([], [])
    monkeypatch.setattr(Breaks, "broken", False)
    assert len(dry_run(result, Variable("bad"))) == 1
    assert (system.grad, reply.grad) == ([], [])


def test_arguments_are_checked_as_by_backward():
    """A root without a gradient, and one without a graph, are refused."""
    _, reply = program()
    with pytest.raises(RuntimeError, match="needs a gradient"):
        dry_run(reply)
    with pytest.raises(RuntimeError, match="requires grad"):
        dry_run(Variable("x"), Variable("bad"))


def test_awaited():
    """The a-form does the same, from any loop."""
    _, reply = program()

    async def main():
        return await adry_run(reply, Variable("bad"))

    assert asyncio.run(main()) == dry_run(reply, Variable("bad"))
