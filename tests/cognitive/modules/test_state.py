"""Tests of afnio.cognitive.modules._state: what a state dict holds."""

from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from module_helpers import in_file

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.models.testing import ScriptedModel


class Agent(cog.Module):
    """One prompt, used in a configured chat."""

    def __init__(self, text="start", role="system prompt", client=None):
        super().__init__()
        self.prompt = Parameter(text, role)
        self.chat = cog.ChatCompletion(
            client,
            [
                {"role": "system", "content": [self.prompt]},
                {"role": "user", "content": [Variable("{message}", "template")]},
            ],
            temperature=0,
        )


class Counting(cog.Module):
    """A module with extra state."""

    def __init__(self, count=0):
        super().__init__()
        self.count = count

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        if state["count"] < 0:
            raise ValueError("negative count")
        self.count = state["count"]


direct_or_file = pytest.mark.parametrize("way", [lambda state: state, in_file])


def test_keys_and_order():
    """The documented keys: attribute paths, children after the module's own."""
    state = Agent(client=ScriptedModel()).state_dict()
    assert list(state) == [
        "prompt",
        "chat.messages",
        "chat.forward_model_client",
        "chat.completion_args",
    ]
    assert type(state) is OrderedDict


def test_metadata():
    """MO14: metadata names the version of every module."""
    state = Agent().state_dict()
    assert state._metadata == {"": {"version": 1}, "chat": {"version": 1}}


def test_entries_keep_role_and_flag_without_gradients():
    """Entries are copies with role and requires_grad, and without gradients."""
    agent = Agent()
    agent.prompt.append_grad(Variable("feedback"))
    saved = agent.state_dict()["prompt"]
    assert saved is not agent.prompt
    assert (saved.data, saved.role, saved.requires_grad) == (
        "start",
        "system prompt",
        True,
    )
    assert saved.grad == []
    agent.prompt.data = "changed"
    assert saved.data == "start"


def test_keep_vars_returns_the_objects():
    """With keep_vars, the entries are the module's own objects."""
    agent = Agent()
    state = agent.state_dict(keep_vars=True)
    assert state["prompt"] is agent.prompt
    assert state["chat.messages"] is agent.chat.messages


@direct_or_file
def test_what_is_one_object_stays_one(way):
    """A Parameter used in a chat is one object in the state too."""
    state = way(Agent().state_dict())
    assert state["chat.messages"][0]["content"][0] is state["prompt"]


def test_clients_are_described_without_keys():
    """A client is saved as class, provider and usage."""
    entry = Agent(client=ScriptedModel()).state_dict()["chat.forward_model_client"]
    assert set(entry) == {"class_type", "provider", "usage"}
    assert entry["class_type"] == "ScriptedModel"


def test_configs_are_copies():
    """Changing the module's completion arguments leaves the state alone."""
    agent = Agent()
    state = agent.state_dict()
    agent.chat.completion_args["temperature"] = 1
    assert state["chat.completion_args"] == {"temperature": 0}


def test_buffers():
    """MO10: only persistent buffers are saved; both are listed."""
    m = Counting()
    m.register_buffer("kept", Variable("x"))
    m.register_buffer("dropped", Variable("y"), persistent=False)
    assert "kept" in m.state_dict()
    assert "dropped" not in m.state_dict()
    assert [name for name, _ in m.named_buffers()] == ["kept", "dropped"]
    m.load_state_dict(m.state_dict())


def test_a_call_leaves_no_trace():
    """MC03, decided otherwise: the state is what was configured, not the last call."""
    agent = cog.ChatCompletion()
    ask = [{"role": "user", "content": [Variable("hi")]}]
    agent(ScriptedModel("hello"), ask, temperature=1)
    assert dict(agent.state_dict()) == {}


def test_prefix_and_destination():
    """A prefix starts every key; a destination is added to and returned."""
    into = OrderedDict(first=1)
    into._metadata = OrderedDict()
    state = Agent().state_dict(destination=into, prefix="agent.")
    assert state is into
    assert list(state)[:2] == ["first", "agent.prompt"]
    assert set(state._metadata) == {"agent", "agent.chat"}
    with pytest.raises(TypeError, match="OrderedDict"):
        Agent().state_dict(destination={})


def test_a_child_may_override_state_dict():
    """The state of a child is asked of the child."""

    class Odd(cog.Module):
        def state_dict(self, **kwargs):
            state = super().state_dict(**kwargs)
            state[f"{kwargs['prefix']}odd"] = 1
            return state

    parent = Counting()
    parent.child = Odd()
    assert parent.state_dict()["child.odd"] == 1


@direct_or_file
def test_extra_state(way):
    """MO19: extra state is saved under its key and handed back."""
    source, target = cog.ModuleList([Counting(3)]), cog.ModuleList([Counting()])
    state = way(source.state_dict())
    assert state["0._extra_state"] == {"count": 3}
    target.load_state_dict(state)
    assert target[0].count == 3


def test_half_of_extra_state_is_an_error():
    """Defining one half only is reported when the other is needed."""

    class Half(cog.Module):
        def get_extra_state(self):
            return 1

    with pytest.raises(NotImplementedError, match="Half"):
        Half().load_state_dict(Half().state_dict())


def test_functions():
    """Functions stand in the state as they are."""
    loss = cog.DeterministicEvaluator(len, "length")
    state = loss.state_dict()
    assert state["eval_fn"] is len
    assert state["eval_fn_purpose"].data == "length"


@direct_or_file
@given(text=st.text(), role=st.none() | st.text(), flag=st.booleans())
def test_round_trip_law(way, text, role, flag):
    """Loading a state and saving it again gives the same state."""
    source, target = Agent(text, role), Agent("other", role="")
    source.prompt.requires_grad_(flag)
    source.demos = Demonstrations([[text, "out"]])
    target.demos = Demonstrations()
    result = target.load_state_dict(way(source.state_dict()))
    assert repr(result) == "<All keys matched successfully>"
    mine, theirs = target.state_dict(), source.state_dict()
    assert list(mine) == list(theirs)
    for key in ("prompt", "demos"):
        assert mine[key].data == theirs[key].data
        assert (mine[key].role or "") == (theirs[key].role or "")
        assert mine[key].requires_grad == theirs[key].requires_grad
    assert target.chat.messages[0]["content"][0] is target.prompt
