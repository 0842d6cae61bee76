"""Tests of afnio.cognitive.modules.agent: settings, state, and learning."""

import copy
import io

import pytest
from module_helpers import GOOD, Shop

import afnio
import afnio.cognitive as cog
from afnio import Variable, set_backward_model_client
from afnio.models import Reply, ToolCall
from afnio.models.testing import ScriptedModel, feedback, in_tags


def stock(item: str) -> int:
    """Do something with an item."""
    return {"apple": 3, "pear": 0}.get(item, -1)


def update(item: str) -> str:
    """Update an item."""
    return item


def conversation():
    """Return messages with one prompt, and the prompt."""
    prompt = cog.Parameter("Answer with a number. {question}", role="task")
    return [{"role": "user", "content": [prompt]}], prompt


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"tools": stock}, TypeError, "a list of functions"),
        ({"tools": "stock"}, TypeError, "a list of functions"),
        ({"tools": [3]}, TypeError, "got int"),
        ({"tools": [stock, stock]}, ValueError, "two tools are called 'stock'"),
        ({"tools": [stock], "max_turns": 1}, ValueError, "no turn"),
        ({"max_turns": 0}, ValueError, "max_turns"),
        ({"max_turns": None}, ValueError, "max_turns"),
        ({"max_result_chars": "9"}, ValueError, "max_result_chars"),
    ],
)
def test_wrong_settings_are_refused(settings, error, words):
    """The error names the setting and what to do."""
    with pytest.raises(error, match=words):
        cog.Agent(ScriptedModel("x"), conversation()[0], **settings)


def test_what_a_call_lacks_is_named():
    """Client and messages may be configured or passed."""
    with pytest.raises(TypeError, match="Agent has no forward_model_client"):
        cog.Agent()(inputs={})
    with pytest.raises(TypeError, match="Agent has no messages"):
        cog.Agent(ScriptedModel("x"))(inputs={})
    answer = cog.Agent()(ScriptedModel("x"), conversation()[0], {"question": "?"})
    assert answer.data == "x"


@pytest.mark.parametrize("name", ["tools", "max_turns", "max_result_chars"])
def test_settings_are_not_arguments_of_a_call(name):
    """They would be sent to the provider."""
    agent = cog.Agent(ScriptedModel("x"), conversation()[0])
    with pytest.raises(TypeError, match=rf"Agent\({name}=...\)"):
        agent(inputs={"question": "?"}, **{name: 3})


def test_tools_may_have_names_of_methods():
    """They are found by name, and so is their state."""
    agent = cog.Agent(tools=[stock, update])
    assert agent.tools["update"].fn is update
    assert "update" in agent.tools
    assert [tool.name for tool in agent.tools] == ["stock", "update"]
    with pytest.raises(ValueError, match="did you mean 'stock'"):
        agent.tools["stok"]
    assert agent.get_submodule("tools.update") is agent.tools["update"]


def test_state_round_trip():
    """What was learned of prompts and tools goes into a fresh agent."""

    def make():
        tool = cog.Tool(stock, cog.Parameter("Do it.", role="tool"))
        return cog.Agent(ScriptedModel("x"), conversation()[0], [tool, update])

    agent = make()
    agent.tools["stock"].description.data = "Look a stock up."
    agent.messages[0]["content"][0].data = "Count. {question}"
    file = io.BytesIO()
    afnio.save(agent.state_dict(), file)
    fresh = make()
    result = fresh.load_state_dict(afnio.load(io.BytesIO(file.getvalue())))
    assert repr(result) == "<All keys matched successfully>"
    assert fresh.tools["stock"].description.data == "Look a stock up."
    assert fresh.messages[0]["content"][0].data == "Count. {question}"


def test_copies_and_repr():
    """A copy has parameters of its own and shares client and functions."""
    agent = cog.Agent(ScriptedModel("x"), conversation()[0], [stock])
    twin = copy.deepcopy(agent)
    assert twin.forward_model_client is agent.forward_model_client
    assert twin.messages[0]["content"][0] is not agent.messages[0]["content"][0]
    assert "stock(item)" in repr(agent)


def shopkeeper(messages, *, tools, **_args):
    """Answer as a model that calls a tool only if its description says what for."""
    (tool,) = tools
    if len(messages) > 1:
        return messages[-1]["content"][0]["content"]
    if tool["description"] != GOOD:
        return "I do not know."
    item = messages[0]["content"].rsplit(" ", 1)[1]
    call = ToolCall("c", "stock", {"item": item})
    return Reply(None, tool_calls=(call,), stop_reason="tool_use")


def test_training_rewrites_a_tools_description(tmp_path):
    """Two epochs: the gradient reaches the description, and the rewrite helps."""
    critic = ScriptedModel(feedback("It does not say that stock is looked up."))
    optimizer = ScriptedModel(in_tags(GOOD))
    program = Shop(ScriptedModel(shopkeeper), optimizer, stock)
    program.learn(critic, tmp_path)
    assert program.agent.tools["stock"].description.data == GOOD
    assert program.agent(inputs={"question": "How many apple"}).data == "3"
    assert len(critic.requests) == 2  # both samples failed, in the first epoch only
    assert len(optimizer.requests) == 1
    assert "does not say" in str(optimizer.requests[0].messages)


def test_gradients_of_the_agent_by_hand():
    """The same without a Trainer: evaluate, backward, look at the description."""
    program = Shop(ScriptedModel(shopkeeper), None, stock)
    answers = program.agent(inputs={"question": ["How many apple", None]})
    assert answers.data == ["I do not know.", None]
    with set_backward_model_client(ScriptedModel(feedback("Say what it is for."))):
        answers.backward(Variable(["wrong", ""]))
    (gradient,) = program.agent.tools["stock"].description.grad
    assert "Say what it is for." in gradient.data
