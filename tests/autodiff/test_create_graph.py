"""Gradients of gradients: critic calls are part of the graph."""

from __future__ import annotations

import json

import pytest

from afnio import Variable
from afnio.autodiff import critic_prompt, get_critic_prompt, grad
from afnio.autodiff._prompts import CRITIC_SYSTEM
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.models import set_backward_model_client
from afnio.models.testing import ScriptedModel


def critic(log):
    """Return a critic that numbers its calls and notes what it was asked."""

    def reply(messages, **args):
        log.append(messages)
        names = args["response_format"]["json_schema"]["schema"]["required"]
        return json.dumps({name: f"call {len(log)} on {name}" for name in names})

    return ScriptedModel(reply)


def program(prompt="Answer.", answers="no"):
    """Return a tracked prompt, a model, and the reply to one question."""
    system = Variable(prompt, "system prompt", requires_grad=True)
    model = ScriptedModel(lambda messages, **args: answers)
    messages = [
        {"role": "system", "content": [system]},
        {"role": "user", "content": [Variable("Why?", "question")]},
    ]
    return system, ChatCompletion.apply(model, messages)


def own_prompt():
    """Return a critic prompt that can be trained."""
    return Variable(CRITIC_SYSTEM, "critic prompt", requires_grad=True)


def test_without_create_graph_gradients_are_constants():
    """The usual backward leaves no graph behind, and the critic's prompt alone."""
    system, reply = program()
    prompt, log = own_prompt(), []
    with set_backward_model_client(critic(log)), critic_prompt(prompt):
        reply.backward(Variable("too short"))
    assert not system.grad[0].requires_grad
    assert prompt.grad == []
    assert log[0][0]["content"] == CRITIC_SYSTEM


def test_feedback_on_a_critique_reaches_the_critics_prompt():
    """Second order: what is said of a gradient becomes feedback on the critic."""
    system, reply = program()
    prompt, log = own_prompt(), []
    with set_backward_model_client(critic(log)), critic_prompt(prompt):
        reply.backward(Variable("too short"), create_graph=True)
        assert system.grad[0].data == "call 1 on input_1"
        assert system.grad[0].requires_grad
        (found,) = grad(system.grad[0], prompt, Variable("be concrete"))
    assert len(log) == 2
    assert found.data == "call 2 on input_1"
    assert found.role == "feedback to critic prompt"
    asked = log[1][1]["content"]
    assert "be concrete" in asked
    assert "too short" in asked


def test_the_incoming_feedback_and_the_criticised_input_are_reached_too():
    """The critic call has the root's gradient and the prompt among its inputs."""
    system, reply = program()
    root = Variable("too short", "review", requires_grad=True)
    log = []
    with set_backward_model_client(critic(log)):
        reply.backward(root, create_graph=True)
        first = system.grad[0]
        system.grad = None
        first.backward(Variable("vague"))
    assert [item.data for item in root.grad] == ["call 2 on input_2"]
    assert "call 2 on input_3" in [item.data for item in system.grad]


def test_second_order_through_an_evaluator_and_a_batch():
    """Every failing sample's critic call is part of the graph; right ones cost none."""
    user = Variable("{x}", "question")
    system = Variable("Answer.", "system prompt", requires_grad=True)
    model = ScriptedModel(lambda messages, **args: messages[-1]["content"])
    reply = ChatCompletion.apply(
        model,
        [
            {"role": "system", "content": [system]},
            {"role": "user", "content": [user]},
        ],
        inputs={"x": ["a", "b", "c"]},
    )
    _, explanation = ExactMatchEvaluator.apply(reply, ["a", "?", "!"])
    prompt, log = own_prompt(), []
    with set_backward_model_client(critic(log)), critic_prompt(prompt):
        explanation.backward(create_graph=True)
        assert len(log) == 2
        system.grad[0].backward(Variable("shorter"), inputs=prompt)
    assert len(log) == 4
    assert len(prompt.grad) == 2


def test_third_order():
    """A gradient of a gradient of a gradient.

    The third critic call reaches the prompt twice: as its own instructions, and as an
    input that the second critic call had criticised.
    """
    system, reply = program()
    prompt, log = own_prompt(), []
    with set_backward_model_client(critic(log)), critic_prompt(prompt):
        reply.backward(Variable("one"), create_graph=True)
        (second,) = grad(system.grad[0], prompt, Variable("two"), create_graph=True)
        (third,) = grad(second, prompt, Variable("three"))
    assert len(log) == 3
    assert third.data == "<ITEM>call 3 on input_1</ITEM><ITEM>call 3 on input_3</ITEM>"
    assert third.role == "feedback to critic prompt"


def test_a_failing_critic_call_in_create_graph_writes_nothing():
    """The backward waits for the critic and fails as a whole."""
    system, reply = program()
    client = ScriptedModel(["bad", "bad", "bad"])
    with set_backward_model_client(client), pytest.raises(RuntimeError):
        reply.backward(Variable("x"), create_graph=True)
    assert system.grad == []


def test_critic_prompt_wants_text():
    """A number or a plain str is refused."""
    for wrong in ("text", Variable(3)):
        with pytest.raises(TypeError, match="critic_prompt"), critic_prompt(wrong):
            pass
    assert get_critic_prompt().data == CRITIC_SYSTEM


def test_feedback_that_arrives_as_it_is():
    """What is retained at the root stays connected to the feedback it began with."""
    said = Variable("too long", "feedback", requires_grad=True)
    y = Variable("a", "x", requires_grad=True).upper()
    y.retain_grad()
    y.backward(said, create_graph=True)
    (kept,) = y.grad
    assert (kept.data, kept.role) == ("too long", "feedback to x")
    kept.backward(Variable("say why"))
    assert said.grad[0].data == "say why"
