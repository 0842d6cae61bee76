"""Tests of afnio.cognitive.modules.chat_completion."""

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.autodiff.credit import credit_mode
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.models.testing import ScriptedModel


def _ask(*parts):
    return [{"role": "user", "content": list(parts)}]


def test_everything_at_the_call():
    """The documented use: client, messages, inputs and arguments in the call."""
    model = ScriptedModel("Ciao")
    chat = cog.ChatCompletion()
    word = Variable(["hello", "bye"])
    reply = chat(model, _ask(Variable("Say {word}")), inputs={"word": word}, seed=1)
    assert reply.data == ["Ciao", "Ciao"]
    assert {request.args["seed"] for request in model.requests} == {1}
    assert repr(chat) == "ChatCompletion()"


def test_configured_and_overridden():
    """What is configured holds; a call overrides and adds, and is not remembered."""
    first, second = ScriptedModel("first"), ScriptedModel("second")
    chat = cog.ChatCompletion(first, _ask(Variable("A")), temperature=0, seed=1)
    before = dict(chat.state_dict(keep_vars=True))
    assert chat(second, _ask(Variable("B")), seed=2, top_p=1).data == "second"
    assert second.requests[0].messages[0]["content"] == "B"
    args = second.requests[0].args
    assert (args["temperature"], args["seed"], args["top_p"]) == (0, 2, 1)
    assert dict(chat.state_dict(keep_vars=True)) == before
    assert chat().data == "first"
    assert "top_p" not in first.requests[0].args


def test_missing_configuration():
    """A call that lacks client or messages says which, and where to put it."""
    with pytest.raises(TypeError, match="forward_model_client"):
        cog.ChatCompletion()(messages=_ask(Variable("A")))
    with pytest.raises(TypeError, match="messages"):
        cog.ChatCompletion(ScriptedModel("x"))()


def test_configuration_is_checked():
    """Wrong clients and messages are refused when the module is made."""
    with pytest.raises(TypeError, match="forward_model_client"):
        cog.ChatCompletion("openai/gpt-4o")
    with pytest.raises(TypeError, match="messages"):
        cog.ChatCompletion(messages=[{"role": "user", "content": "text"}])


def test_slots_in_the_state():
    """MC03: the documented keys appear once they are configured."""
    chat = cog.ChatCompletion(ScriptedModel(), _ask(Variable("A")), seed=1)
    assert set(chat.state_dict()) == {
        "forward_model_client",
        "messages",
        "completion_args",
    }


def test_feedback_reaches_configured_parameters():
    """A Parameter in configured messages is a parameter, and gets the gradient."""
    prompt = Parameter("Answer {q}", "prompt")
    chat = cog.ChatCompletion(ScriptedModel("42"), _ask(prompt))
    assert list(chat.parameters()) == [prompt]
    reply = chat(inputs={"q": "this"})
    with credit_mode("passthrough"):
        reply.backward(Variable("be brief"))
    assert "be brief" in prompt.grad[0].data


def test_demonstrations_are_expanded():
    """Each row becomes a user turn and an assistant turn before the question."""
    model = ScriptedModel("neutral")
    demos = Demonstrations([["I love it", "positive"]])
    chat = cog.ChatCompletion(
        model,
        [
            {"role": "demonstrations", "content": [demos]},
            *_ask(Variable("Message: {message}")),
        ],
    )
    assert chat(inputs={"message": "It is a chair"}).data == "neutral"
    sent = [(m["role"], m["content"]) for m in model.requests[0].messages]
    assert sent == [
        ("user", "Message: I love it"),
        ("assistant", "positive"),
        ("user", "Message: It is a chair"),
    ]
