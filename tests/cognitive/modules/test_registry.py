"""Tests of afnio.cognitive.modules._registry: what is registered, and when."""

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive.parameter import Parameter
from afnio.models.testing import ScriptedModel


def _chat(*texts):
    return [{"role": "user", "content": [Variable(t) for t in texts]}]


class Plain(cog.Module):
    def forward(self):
        return None


def test_kinds_register_by_type():
    """Parameters, modules, clients and chats register themselves on assignment."""
    m = Plain()
    m.p, m.child, m.client, m.talk = (
        Parameter("x"),
        Plain(),
        ScriptedModel(),
        _chat("a"),
    )
    assert [n for n, _ in m.named_parameters()] == ["p"]
    assert [n for n, _ in m.named_children()] == ["child"]
    assert [n for n, _ in m.named_models()] == ["client"]
    assert [n for n, _ in m.named_chats()] == ["talk"]
    assert {"p", "child", "client", "talk"} <= set(dir(m))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"temperature": 0},
        len,
        lambda: 1,
        "text",
        [{"foo": 1}],
        ["a"],
        [{"role": "user", "content": "text"}],
        Variable("plain"),
    ],
)
def test_everything_else_is_a_plain_attribute(value):
    """Nothing else registers by surprise, nor lands in the state."""
    m = Plain()
    m.x = value
    assert m.x is value
    assert dict(m.state_dict()) == {}
    m.x = "text"
    assert m.x == "text"


def test_none_then_text():
    """MO21: a name that was None is free for anything."""
    m = Plain()
    m.x = None
    m.x = "a"
    assert m.x == "a"
    m.x = Parameter("b")
    assert list(m.parameters()) == [m.x]


def test_chat_by_type_may_become_a_list_again():
    """A history that happened to look like a chat can be emptied."""
    m = Plain()
    m.history = _chat("hello")
    m.history = []
    assert m.history == []
    assert list(m.chats()) == []


def test_declared_chat_refuses_other_values():
    """A chat slot that was registered on purpose takes chats and None only."""
    m = Plain()
    m.register_chat("talk", None)
    m.talk = _chat("a")
    with pytest.raises(TypeError, match="talk"):
        m.talk = ["a"]
    m.talk = None
    assert m.talk is None


def test_assignment_before_init():
    """MO02: registering needs Module.__init__ first; plain values do not."""

    class Hasty(cog.Module):
        def __init__(self, value):
            self.x = value

    with pytest.raises(AttributeError, match="super"):
        Hasty(Parameter())
    assert Hasty("plain").x == "plain"

    class Hastier(cog.Module):
        def __init__(self):
            self.register_buffer("x", Variable())

    with pytest.raises(AttributeError, match="super"):
        Hastier()


@pytest.mark.parametrize(
    "register",
    [
        "parameter",
        "buffer",
        "chat",
        "model",
        "completion_config",
        "function",
        "module",
    ],
)
@pytest.mark.parametrize(
    ("name", "error"),
    [("a.b", KeyError), ("", KeyError), ("forward", KeyError), (3, TypeError)],
)
def test_names_are_checked(register, name, error):
    """MO03: dotted, empty, taken and non-text names are refused, in plain words."""
    with pytest.raises(error) as caught:
        getattr(Plain(), f"register_{register}")(name, None)
    assert not str(caught.value).startswith("'")


@pytest.mark.parametrize(
    ("register", "value"),
    [
        ("parameter", Variable()),
        ("buffer", "text"),
        ("chat", [{"foo": 1}]),
        ("chat", [{"role": "user"}]),
        ("chat", "text"),
        ("chat", []),
        ("model", "openai/x"),
        ("completion_config", [1]),
        ("function", "text"),
        ("module", Parameter()),
    ],
)
def test_values_are_checked(register, value):
    """MO04: each register method takes its own kind only."""
    with pytest.raises(TypeError):
        getattr(Plain(), f"register_{register}")("z", value)


def test_computed_parameter_is_refused():
    """MO05: the result of an operation cannot be a parameter."""
    computed = Parameter("x", requires_grad=False)
    computed += Parameter("y")
    with pytest.raises(ValueError, match="AddBackward0"):
        Plain().register_parameter("z", computed)


@pytest.mark.parametrize(
    ("first", "wrong"),
    [
        (Parameter("x"), Variable("y")),
        (Parameter("x"), Plain()),
        (Plain(), "text"),
        (ScriptedModel(), "text"),
        (_chat("a"), 3),
    ],
)
def test_registered_names_keep_their_kind(first, wrong):
    """MO06: a registered name refuses other kinds, but takes None."""
    m = Plain()
    m.x = first
    with pytest.raises(TypeError, match="x is registered as"):
        m.x = wrong
    m.x = None
    assert m.x is None
    m.x = first
    assert m.x is first


def test_buffers_keep_their_slot():
    """A buffer set to None can hold a Variable again."""
    m = Plain()
    m.register_buffer("b", Variable("x"))
    m.b = None
    m.b = Variable("y")
    assert [v.data for v in m.buffers()] == ["y"]
    with pytest.raises(TypeError):
        m.b = "text"


def test_moving_to_another_registry():
    """A name lives in one registry: a Parameter takes over a buffer's."""
    m = Plain()
    m.register_buffer("x", Variable("x"))
    m.x = Parameter("y")
    assert list(m.buffers()) == []
    assert [p.data for p in m.parameters()] == ["y"]


def test_functions_of_every_sort():
    """MO22: lambdas, methods, classes and closures may be registered."""
    outer = 3
    for function in (lambda: 1, "".join, int, lambda: outer):
        m = Plain()
        m.register_function("f", function)
        assert m.f is function


def test_delete():
    """Deleting removes a name from its registry, or the plain attribute."""
    m = Plain()
    m.p, m.x = Parameter("x"), 1
    del m.p, m.x
    assert dict(m.named_parameters()) == {}
    for name in ("p", "x"):
        with pytest.raises(AttributeError, match=name):
            getattr(m, name)
        with pytest.raises(AttributeError):
            delattr(m, name)


def test_missing_attributes_suggest():
    """A typo in an attribute names the closest one."""
    m = Plain()
    m.prompt = Parameter("x")
    with pytest.raises(AttributeError, match="prompt"):
        _ = m.promt


def test_names_of_the_class_are_refused():
    """A module named after a method would never be found; it is refused."""
    with pytest.raises(KeyError, match="train"):
        setattr(Plain(), "train", Plain())  # noqa: B010 - a name as a user's dict has it


def test_parameters_learn_their_name():
    """A Parameter without a name takes the first attribute's; its role stays None."""
    m = Plain()
    m.prompt = Parameter("x")
    m.other = m.prompt
    assert (m.prompt.name, m.prompt.role) == ("prompt", None)
    m.named = Parameter("x", name="given")
    assert m.named.name == "given"
