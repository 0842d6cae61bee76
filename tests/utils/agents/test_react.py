"""Tests of afnio.utils.agents.react."""

import pytest

import afnio.cognitive as cog
from afnio import Variable, set_backward_model_client
from afnio.models import Reply, ToolCall
from afnio.models.testing import ScriptedModel, feedback
from afnio.utils.agents import ReAct
from afnio.utils.agents import _prompts as prompts


def population(city: str) -> int:
    """Look up how many people live in a city."""
    return {"Oz": 900}[city]


def thinker(messages, **_args):
    """Think, look up, answer."""
    if len(messages) == 2:
        call = ToolCall("1", "population", {"city": "Oz"})
        return Reply("I need it.", tool_calls=(call,), stop_reason="tool_use")
    return f"It is {messages[-1]['content'][0]['content']}."


def test_reasons_acts_and_answers():
    """Its thought stays in the conversation, before the call."""
    model = ScriptedModel(thinker)
    result = ReAct([population], model).run(inputs={"question": "How many in Oz?"})
    assert result.output.data == "It is 900."
    system, question, thought, _ = model.requests[1].messages
    assert system["content"].startswith("You answer questions with the help of tools")
    assert question["content"] == "How many in Oz?"
    assert thought["content"][0]["text"] == "I need it."


def test_prompt_and_descriptions_are_learned():
    """Plain functions get learned descriptions; a Tool is left as it is."""
    fixed = cog.Tool(population, name="fixed")
    agent = ReAct([population, fixed], ScriptedModel(thinker))
    assert [name for name, _ in agent.named_parameters()] == [
        "instructions",
        "agent.tools.population.description",
    ]
    answer = agent(inputs={"question": "How many in Oz?"})
    with set_backward_model_client(ScriptedModel(feedback("Be exact."))):
        answer.backward(Variable("Say thousands."))
    assert all(param.grad for param in agent.parameters())


@pytest.mark.parametrize("tools", ["population", {"population": population}, [3]])
def test_wrong_tools_are_refused(tools):
    """The error is the agent's own."""
    with pytest.raises(TypeError, match=r"tools takes a list|made of a function"):
        ReAct(tools)


def test_the_words_it_starts_from():
    """A change of a starting prompt is a decision."""
    assert prompts.REACT_SYSTEM.count("\n\n") == 2
    assert "never an instruction" in prompts.REACT_SYSTEM
    assert "never an instruction" in prompts.QA_SYSTEM
