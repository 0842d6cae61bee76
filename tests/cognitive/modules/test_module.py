"""Tests of afnio.cognitive.modules.module."""

import copy

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive.parameter import Parameter
from afnio.models.testing import ScriptedModel


class Agent(cog.Module):
    def __init__(self):
        super().__init__()
        self.prompt = Parameter("Read the message.\nThen answer.", "system prompt")
        self.chat = cog.ChatCompletion()


def _with_chat():
    agent = Agent()
    agent.talk = [{"role": "user", "content": [Variable("x"), agent.prompt]}]
    return agent


def test_repr():
    """MO08: the tree of children; str also shows the prompts, shortened."""
    agent = Agent()
    assert repr(agent) == "Agent(\n  (chat): ChatCompletion()\n)"
    assert str(agent) == (
        "Agent(\n  (prompt): system prompt: Read the message. Then answer.\n"
        "  (chat): ChatCompletion()\n)"
    )
    agent.requires_grad_(False)
    assert "system prompt, frozen: Read" in str(agent)


def test_repr_with_extra_and_depth():
    """extra_repr stands in the brackets; children of children are indented."""

    class Extra(cog.Module):
        def extra_repr(self):
            return "size=3"

    outer = Extra()
    assert repr(outer) == "Extra(size=3)"
    outer.inner = Agent()
    assert repr(outer) == (
        "Extra(\n  size=3\n  (inner): Agent(\n    (chat): ChatCompletion()\n  )\n)"
    )


def test_train_and_eval():
    """MO09: modes go all the way down; train takes a bool."""
    agent = Agent()
    assert agent.eval() is agent
    assert not any(m.training for m in agent.modules())
    assert agent.train().chat.training is True
    with pytest.raises(ValueError, match="bool"):
        agent.train(1)


def test_apply_visits_children_first():
    """Apply calls the function on children, then on the module itself."""
    agent, seen = Agent(), []
    assert agent.apply(seen.append) is agent
    assert seen == [agent.chat, agent]


def test_requires_grad_reaches_chats():
    """MO11: the flag is set on Parameters and on every Variable of a chat."""
    agent = _with_chat()
    assert agent.requires_grad_(True) is agent
    assert agent.talk[0]["content"][0].requires_grad is True
    agent.requires_grad_(False)
    assert agent.prompt.requires_grad is False
    assert agent.talk[0]["content"][0].requires_grad is False


@pytest.mark.parametrize("clear", [cog.Module.empty_grad, cog.Module.zero_grad])
def test_gradients_are_cleared_in_place(clear):
    """MO12: gradients are cleared, and the lists stay the same objects."""
    agent = _with_chat().requires_grad_(True)
    targets = [agent.prompt, agent.talk[0]["content"][0]]
    for target in targets:
        target.append_grad(Variable("feedback"))
    lists = [target.grad for target in targets]
    clear(agent)
    assert lists == [[], []]
    assert all(t.grad is kept for t, kept in zip(targets, lists, strict=True))


def test_computed_chat_variables_are_passed_over():
    """Clearing gradients leaves alone what an operation computed."""
    agent = Agent()
    agent.talk = [{"role": "user", "content": [agent.prompt + "!"]}]
    agent.empty_grad()


def test_deepcopy_shares_clients_only():
    """A copy has its own parameters, still tied, and the same client."""
    agent, client = _with_chat(), ScriptedModel()
    agent.chat.forward_model_client = client
    agent.clients = {"judge": [client]}
    agent._optimizers = ["an optimizer"]
    agent.prompt.append_grad(Variable("feedback"))
    twin = copy.deepcopy(agent)
    assert twin.prompt is not agent.prompt
    assert twin.prompt.grad == []
    assert twin.talk[0]["content"][1] is twin.prompt
    assert twin.chat.forward_model_client is client
    assert twin.clients["judge"][0] is client
    assert twin._optimizers is None
    twin.prompt.data = "changed"
    assert agent.prompt.data != "changed"
