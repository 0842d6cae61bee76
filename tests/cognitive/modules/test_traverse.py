"""Tests of afnio.cognitive.modules._traverse."""

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.models.testing import ScriptedModel


class Node(cog.Module):
    def __init__(self, text=None):
        super().__init__()
        if text is not None:
            self.text = Parameter(text)


def _tree():
    root = Node("root")
    root.left, root.right = Node("left"), Node("right")
    root.left.leaf = Node("leaf")
    return root


def _names(pairs):
    return [name for name, _ in pairs]


def test_modules_and_children():
    """Names are dotted paths, the root's is empty, order is depth first."""
    root = _tree()
    assert _names(root.named_modules()) == ["", "left", "left.leaf", "right"]
    assert _names(root.named_modules(prefix="m")) == [
        "m",
        "m.left",
        "m.left.leaf",
        "m.right",
    ]
    assert list(root.children()) == [root.left, root.right]
    assert len(list(root.modules())) == 4


def test_shared_modules():
    """A module under two names is listed once, unless duplicates are wanted."""
    root = Node()
    root.a = root.b = Node("x")
    assert _names(root.named_modules()) == ["", "a"]
    assert _names(root.named_modules(remove_duplicate=False)) == ["", "a", "b"]
    assert _names(root.named_children()) == ["a"]
    assert _names(root.named_parameters()) == ["a.text"]
    assert _names(root.named_parameters(remove_duplicate=False)) == ["a.text", "b.text"]


def test_shared_parameters():
    """MO07: one Parameter under two names is one parameter, but two keys."""
    root = Node()
    root.p = root.q = Parameter("x")
    assert _names(root.named_parameters()) == ["p"]
    assert _names(root.named_parameters(remove_duplicate=False)) == ["p", "q"]
    assert list(root.state_dict()) == ["p", "q"]


def test_recurse_and_prefix():
    """recurse=False stays here; a prefix comes before every name."""
    root = _tree()
    assert _names(root.named_parameters(prefix="m", recurse=False)) == ["m.text"]
    assert len(list(root.parameters())) == 4


def test_equal_settings_are_two_settings():
    """Duplicates are told by identity: equal dicts of two modules are both listed."""
    root = Node()
    root.a = cog.ChatCompletion(response_format={"type": "json_object"}, tools=[])
    root.b = cog.ChatCompletion(response_format={"type": "json_object"}, tools=[])
    assert _names(root.named_completion_configs()) == [
        "a.completion_args",
        "b.completion_args",
    ]
    assert len(list(root.completion_configs())) == 2


def test_every_registry_is_listed():
    """Models, functions, buffers and chats have their iterators; None is skipped."""
    root = Node()
    root.client = ScriptedModel()
    root.register_function("score", len)
    root.register_function("empty", None)
    root.register_buffer("b", Variable("x"), persistent=False)
    root.talk = [{"role": "user", "content": [Variable("x")]}]
    assert list(root.models()) == [root.client]
    assert list(root.functions()) == [len]
    assert _names(root.named_functions()) == ["score"]
    assert list(root.buffers()) == [root.b]
    assert list(root.chats()) == [root.talk]


def test_parameters_in_chats_are_parameters():
    """A Parameter that stands only in a chat is found, after the attributes'."""
    root = Node("root")
    inside, demos = Parameter("inside"), Demonstrations()
    root.chat = cog.ChatCompletion(
        messages=[
            {"role": "system", "content": [root.text, inside]},
            {"role": "demonstrations", "content": [demos]},
            {"role": "user", "content": [Variable("{message}")]},
        ]
    )
    assert dict(root.named_parameters()) == {
        "text": root.text,
        "chat.messages.0.1": inside,
        "chat.messages.1.0": demos,
    }
    assert root.get_parameter("chat.messages.0.1") is inside


def test_lookups():
    """Dotted paths find modules, Parameters and buffers; a typo is answered."""
    root = _tree()
    root.register_buffer("b", Variable("x"))
    assert root.get_submodule("") is root
    assert root.get_submodule("left.leaf") is root.left.leaf
    assert root.get_parameter("left.leaf.text").data == "leaf"
    assert root.get_buffer("b") is root.b
    for lookup in (root.get_submodule, root.get_parameter, root.get_buffer):
        with pytest.raises(AttributeError, match=r"did you mean|known:"):
            lookup("left.laef")
