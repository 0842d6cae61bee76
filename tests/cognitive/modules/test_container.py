"""Tests of afnio.cognitive.modules.container."""

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive.parameter import Parameter


class Append(cog.Module):
    def __init__(self, text):
        super().__init__()
        self.text = Parameter(text, "suffix")

    def forward(self, x):
        return x + self.text


def _texts(modules):
    return [module.text.data for module in modules]


def test_sequential_chains():
    """Each module runs on what the one before returned; gradients reach all."""
    chain = cog.Sequential(Append("b"), Append("c"))
    result = chain(Variable("a"))
    assert result.data == "abc"
    result.backward(Variable("longer"))
    assert all(len(p.grad) == 1 for p in chain.parameters())


def test_sequential_with_names():
    """A dict gives the modules names, which replacing keeps."""
    chain = cog.Sequential({"first": Append("b"), "second": Append("c")})
    assert [name for name, _ in chain.named_parameters()] == [
        "first.text",
        "second.text",
    ]
    chain[1] = Append("d")
    assert chain.append(Append("e")) is chain
    assert list(chain._modules) == ["first", "second", "2"]
    assert chain(Variable("a")).data == "abde"


@pytest.mark.parametrize("kind", [cog.ModuleList, lambda m: cog.Sequential(*m)])
def test_lists_behave_like_lists(kind):
    """Indexing, slicing and changing keep names and order in step."""
    modules = kind([Append(t) for t in "abc"])
    assert len(modules) == 3
    assert modules[-1].text.data == "c"
    assert type(modules[1:]) is type(modules)
    assert _texts(modules[1:]) == ["b", "c"]
    modules.insert(0, Append("z"))
    modules.extend([Append("x")])
    modules += [Append("y")]
    del modules[1]
    assert _texts(modules) == ["z", "b", "c", "x", "y"]
    assert modules.pop().text.data == "y"
    modules[0] = Append("q")
    assert _texts(modules + cog.ModuleList([Append("w")])) == ["q", "b", "c", "x", "w"]
    assert modules[0] in modules
    assert Append("q") not in modules
    assert list(modules._modules) == ["0", "1", "2", "3"]
    with pytest.raises(IndexError):
        modules[9]


def test_lists_change_all_or_nothing():
    """A wrong item leaves the list as it was."""
    modules = cog.ModuleList([Append("a")])
    with pytest.raises(TypeError, match="ModuleList holds Modules"):
        modules.extend([Append("b"), "text"])
    assert _texts(modules) == ["a"]


def test_list_repr():
    """Containers print their items by index."""
    assert repr(cog.ModuleList([cog.Add()])) == "ModuleList(\n  (0): Add()\n)"
    assert repr(cog.ModuleList()) == "ModuleList()"


def test_module_dict():
    """Items are registered under their keys and found by them."""
    modules = cog.ModuleDict({"a": Append("1")})
    modules["b"] = Append("2")
    modules.update([("a", Append("3"))])
    assert list(modules) == list(modules.keys()) == ["a", "b"]
    assert _texts(modules.values()) == ["3", "2"]
    assert dict(modules.items())["b"] is modules["b"]
    assert "a" in modules
    assert modules.pop("a").text.data == "3"
    del modules["b"]
    assert len(modules) == 0
    with pytest.raises(KeyError, match="no 'a'"):
        modules["a"]
    for key, item in [(3, Append("x")), ("x", "text")]:
        with pytest.raises(TypeError):
            modules[key] = item
    with pytest.raises(KeyError):
        modules["train"] = Append("x")
    modules["c"] = Append("x")
    modules.clear()
    assert list(modules.parameters()) == []


def test_parameter_list():
    """Parameters in a list are parameters; Variables become some."""
    params = cog.ParameterList([Parameter("a", "r"), Variable("b", "s")])
    params.append(Parameter("c"))
    assert [p.data for p in params] == ["a", "b", "c"]
    assert all(type(p) is Parameter for p in params)
    assert [name for name, _ in params.named_parameters()] == ["0", "1", "2"]
    assert [p.data for p in params[1:]] == ["b", "c"]
    assert "(0): Parameter('a', role=r)" in repr(params)
    assert str(params) == repr(params)
    with pytest.raises(TypeError, match="text"):
        params.append("text")
    with pytest.raises(ValueError, match="detach"):
        params.append(Parameter("a") + "b")


def test_parameter_dict():
    """Parameters in a dict are parameters under their keys."""
    params = cog.ParameterDict({"a": Parameter("1", "r")})
    params["b"] = Variable("2")
    assert {name: p.data for name, p in params.named_parameters()} == {
        "a": "1",
        "b": "2",
    }
    assert params["a"].name == "a"
    assert "(a): Parameter('1', role=r)" in repr(params)
    assert str(params) == repr(params)


def test_containers_round_trip():
    """Containers take part in state dicts."""
    source = cog.ModuleList([cog.ParameterDict({"a": Parameter("learned")})])
    target = cog.ModuleList([cog.ParameterDict({"a": Parameter("x")})])
    target.load_state_dict(source.state_dict())
    assert target[0]["a"].data == "learned"
