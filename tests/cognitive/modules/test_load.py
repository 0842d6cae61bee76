"""Tests of afnio.cognitive.modules._load and _fits: loading state dicts."""

import copy

import pytest
from module_helpers import in_file

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.models.testing import ScriptedModel
from afnio.serialization import SavedFunction


class Agent(cog.Module):
    """The shape of the documented quick start: nothing configured in the chat."""

    def __init__(self, text="start"):
        super().__init__()
        self.prompt = Parameter(text, role="system prompt")
        self.chat = cog.ChatCompletion()


class Box(cog.Module):
    """Holds whatever a test puts in."""

    def __init__(self, **things):
        super().__init__()
        for name, thing in things.items():
            setattr(self, name, thing)


def _messages(*texts):
    return [{"role": "user", "content": [Variable(t)]} for t in texts]


def _snapshot(module):
    return {
        key: copy.deepcopy(getattr(value, "data", value))
        for key, value in module.state_dict().items()
        if not isinstance(value, list)
    }


def test_fresh_to_fresh():
    """MO20: a plain round trip works for agents never called, and freezes nothing."""
    trained, fresh = Agent("learned"), Agent()
    client = ScriptedModel()
    result = fresh.load_state_dict(
        in_file(trained.state_dict()),
        model_clients={"chat.forward_model_client": client},
    )
    assert repr(result) == "<All keys matched successfully>"
    assert fresh.prompt.data == "learned"
    assert fresh.prompt.requires_grad is True
    assert list(fresh.parameters()) == [fresh.prompt]


def test_detached_states_freeze_nothing():
    """A state of plain, detached Variables leaves requires_grad and names alone."""
    fresh = Agent()
    fresh.load_state_dict({"prompt": Parameter("learned", "new role").detach()})
    assert fresh.prompt.requires_grad is True
    assert (fresh.prompt.data, fresh.prompt.role) == ("learned", "new role")


def test_missing_and_unexpected_keys():
    """MO15: strict raises and lists every key; otherwise the lists are returned."""
    with pytest.raises(RuntimeError) as caught:
        Agent().load_state_dict({"extra": 1, "more": 2})
    assert caught.value.missing_keys == ["prompt"]
    assert caught.value.unexpected_keys == ["extra", "more"]
    assert "missing keys: prompt" in str(caught.value)
    assert "unexpected keys: extra, more" in str(caught.value)
    result = Agent().load_state_dict({"extra": 1}, strict=False)
    assert result == (["prompt"], ["extra"])
    assert "missing_keys=['prompt']" in repr(result)


@pytest.mark.parametrize("state", [[], "text", None])
def test_state_must_be_a_mapping(state):
    """MO16: anything but a mapping is a TypeError."""
    with pytest.raises(TypeError):
        Agent().load_state_dict(state)
    with pytest.raises(TypeError, match="model_clients"):
        Agent().load_state_dict({}, model_clients=[1])


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        (Parameter("x"), Variable(["a"]), "shape"),
        (Parameter(["x"]), Variable(["a", "b"]), "shape"),
        (Parameter("x"), Variable(3), "number"),
        (Parameter("x"), "text", "Variable"),
        (Demonstrations(), Variable([["only"]]), "row 0"),
        (_messages("a"), "text", "messages"),
        (_messages("a"), _messages("a", "b"), r"user\(1\), user\(1\)"),
        (_messages("a"), [{"role": "system", "content": [Variable("a")]}], "system"),
        (_messages("a"), [{"role": "user", "content": "a"}], "messages"),
        (_messages("a"), _messages(["a"]), "shape"),
    ],
)
def test_misfits(mine, theirs, words, strict):
    """MO17: what does not fit is named, whether strict or not."""
    with pytest.raises(RuntimeError, match=words) as caught:
        Box(x=mine).load_state_dict({"x": theirs}, strict=strict)
    assert caught.value.problems[0].startswith("x")


def test_nothing_changes_on_failure():
    """All problems come in one error, and no data has been copied before it."""
    box = Box(a=Parameter("a"), b=Parameter("b"), c=_messages("c"))
    before = _snapshot(box)
    state = {"a": Variable("new"), "b": Variable(["x"]), "c": _messages("new"), "d": 1}
    with pytest.raises(RuntimeError) as caught:
        box.load_state_dict(state)
    assert len(str(caught.value).splitlines()) == 3
    assert _snapshot(box) == before
    assert box.c[0]["content"][0].data == "c"


def test_failing_extra_state_is_undone():
    """If a user's set_extra_state raises, everything is put back."""

    class Extra(cog.Module):
        value = 0

        def get_extra_state(self):
            return self.value

        def set_extra_state(self, state):
            if state < 0:
                raise ValueError("negative")
            self.value = state

    pair = Box(a=Extra(), b=Extra(), p=Parameter("old"))
    state = {"a._extra_state": 1, "b._extra_state": -1, "p": Variable("new")}
    with pytest.raises(ValueError, match="negative"):
        pair.load_state_dict(state)
    assert (pair.a.value, pair.b.value, pair.p.data) == (0, 0, "old")


def test_tied_parameters_stay_tied():
    """Two names of one Parameter are still one after loading."""
    shared = Parameter("x")
    box, target = Box(a=shared, b=shared), Box(a=Parameter("y"))
    target.b = target.a
    target.load_state_dict(in_file(box.state_dict()))
    assert target.a is target.b
    assert target.a.data == "x"


def test_conflicting_ties_are_reported():
    """One object cannot hold two saved values."""
    target = Box(a=Parameter("y"))
    target.b = target.a
    with pytest.raises(RuntimeError, match="one object"):
        target.load_state_dict({"a": Variable("1"), "b": Variable("2")})
    assert target.a.data == "y"


def test_parameters_in_chats_are_the_same_objects():
    """Loading writes into the chat's Parameters; it does not part them."""

    def agent(text):
        prompt = Parameter(text, "prompt")
        chat = [{"role": "system", "content": [prompt]}, *_messages(text)]
        return Box(prompt=prompt, chat=chat)

    for assign in (False, True):
        target = agent("old")
        chat = target.chat
        target.load_state_dict(in_file(agent("new").state_dict()), assign=assign)
        assert target.chat is chat
        assert chat[0]["content"][0] is target.prompt
        assert target.prompt.data == chat[1]["content"][0].data == "new"


def test_an_empty_chat_slot_gets_the_saved_chat():
    """A saved chat fills an empty slot, made of the module's own Parameters."""
    source = Agent("learned")
    source.chat.messages = [
        {"role": "system", "content": [source.prompt]},
        *_messages("hi"),
    ]
    target = Agent()
    target.load_state_dict(in_file(source.state_dict()))
    system, user = target.chat.messages
    assert system["content"][0] is target.prompt
    assert user["content"][0].data == "hi"
    assert user["content"][0] is not source.chat.messages[1]["content"][0]
    assert len(list(target.parameters())) == 1


def test_empty_parameter_and_buffer_slots():
    """Slots registered as None take what was saved, as their own copy."""
    source = Box(p=Parameter("learned", "r"))
    source.register_buffer("b", Variable("kept", "b"))
    target = Box()
    target.register_parameter("p", None)
    target.register_buffer("b", None)
    state = source.state_dict()
    target.load_state_dict(state)
    assert (target.p.data, target.p.requires_grad) == ("learned", True)
    assert target.b.data == "kept"
    assert target.p is not state["p"]
    detached = Box()
    detached.register_parameter("p", None)
    detached.load_state_dict({"p": Variable("plain", "r")})
    assert type(detached.p) is Parameter
    assert (detached.p.requires_grad, detached.p.name) == (True, "p")


def test_empty_slots_are_not_missing():
    """Slots without content are neither saved nor expected."""
    assert list(cog.Split().state_dict()) == []
    cog.Split().load_state_dict({})
    cog.LMJudgeEvaluator().load_state_dict({})


def test_assign_replaces():
    """With assign, the state's Parameter moves in and takes the module's flag."""
    target, saved = Agent(), Parameter("new", "r", requires_grad=False)
    target.load_state_dict({"prompt": saved}, assign=True)
    assert target.prompt is saved
    assert saved.requires_grad is True
    target.load_state_dict({"prompt": Variable("plain", "r")}, assign=True)
    assert type(target.prompt) is Parameter
    assert target.prompt.data == "plain"


def test_assign_keeps_the_kind_of_parameter():
    """A plain Variable assigned to demonstrations stays demonstrations."""
    target = Box(demos=Demonstrations(fields=("q",), max_demos=5))
    target.load_state_dict({"demos": Variable([["a", "b"]])}, assign=True)
    assert type(target.demos) is Demonstrations
    assert (target.demos.rows(), target.demos.max_demos) == ([["a", "b"]], 5)


def test_demonstrations_may_change_their_number():
    """How many rows there are is learned, so it may differ."""
    target = Box(demos=Demonstrations())
    target.load_state_dict(
        in_file(Box(demos=Demonstrations([["a", "b"]])).state_dict())
    )
    assert target.demos.rows() == [["a", "b"]]


# -- clients --------------------------------------------------------------------------


def _used(tokens):
    client = ScriptedModel()
    client.update_usage({"prompt_tokens": tokens, "cost": {"amount": 0.5}})
    return client


def _tokens_of(client):
    return client.get_usage()["prompt_tokens"]


def test_clients_must_be_supplied():
    """MO18: an empty slot names class and key; a client gets the usage back."""
    state = in_file(cog.ChatCompletion(_used(7)).state_dict())
    with pytest.raises(RuntimeError, match=r"ScriptedModel.*forward_model_client"):
        cog.ChatCompletion().load_state_dict(state)
    chat, client = cog.ChatCompletion(), ScriptedModel()
    chat.load_state_dict(state, model_clients={"forward_model_client": client})
    assert chat.forward_model_client is client
    assert _tokens_of(client) == 7
    assert client.get_usage()["cost"]["amount"] == 0.5


@pytest.mark.parametrize("wrong", ["text", cog.Module, None])
def test_clients_must_be_of_the_saved_class(wrong):
    """Another class, or no client at all, is refused with the key."""

    class Other(ScriptedModel):
        pass

    state = cog.ChatCompletion(Other()).state_dict()
    clients = {"forward_model_client": wrong or ScriptedModel()}
    with pytest.raises(RuntimeError, match="forward_model_client: was a Other"):
        cog.ChatCompletion().load_state_dict(state, model_clients=clients)


def test_configured_clients_stay():
    """A slot with a client keeps it, and its own usage, unless another is given."""
    own = _used(3)
    chat = cog.ChatCompletion(own)
    state = chat.state_dict()
    chat.load_state_dict(state)
    chat.load_state_dict(state, model_clients={"forward_model_client": own})
    assert chat.forward_model_client is own
    assert _tokens_of(own) == 3


def test_shared_usage_is_added_once():
    """One client in two slots gets the usage that both share only once."""
    shared = _used(5)
    pair = cog.ModuleList([cog.ChatCompletion(shared), cog.ChatCompletion(shared)])
    client = ScriptedModel()
    fresh = cog.ModuleList([cog.ChatCompletion(), cog.ChatCompletion()])
    keys = ["0.forward_model_client", "1.forward_model_client"]
    fresh.load_state_dict(
        in_file(pair.state_dict()), model_clients=dict.fromkeys(keys, client)
    )
    assert _tokens_of(client) == 5


@pytest.mark.parametrize(
    "entry",
    ["text", {"provider": "x"}, {"class_type": "ScriptedModel", "usage": "much"}],
)
def test_damaged_client_entries(entry):
    """Entries that describe no client are reported; no usage has moved."""
    chat, client = cog.ChatCompletion(), ScriptedModel()
    with pytest.raises(RuntimeError, match="forward_model_client"):
        chat.load_state_dict(
            {"forward_model_client": entry},
            model_clients={"forward_model_client": client},
        )
    assert chat.forward_model_client is None


def test_live_clients_move_in():
    """A state made with keep_vars carries its client along."""
    source, target = cog.ChatCompletion(ScriptedModel()), cog.ChatCompletion()
    target.load_state_dict(source.state_dict(keep_vars=True))
    assert target.forward_model_client is source.forward_model_client


# -- the rest -------------------------------------------------------------------------


def test_configs_are_replaced_by_copies():
    """Completion arguments come from the state, and are the module's own."""
    source, target = cog.ChatCompletion(tools=[1]), cog.ChatCompletion(seed=1)
    state = source.state_dict()
    target.load_state_dict(state)
    target.completion_args["tools"].append(2)
    assert state["completion_args"] == {"tools": [1]}
    with pytest.raises(RuntimeError, match="completion_args: needs a dict"):
        target.load_state_dict({"completion_args": 3})


def test_functions_by_name_are_the_programs_business():
    """A file names functions: a slot keeps its own, an empty one needs it first."""
    source = cog.DeterministicEvaluator(len, "length")
    state = in_file(source.state_dict())
    assert isinstance(state["eval_fn"], SavedFunction)
    target = cog.DeterministicEvaluator(max, "length")
    target.load_state_dict(state)
    assert target.eval_fn is max
    with pytest.raises(RuntimeError, match=r"builtins\.len"):
        cog.DeterministicEvaluator(None, "length").load_state_dict(state)
    target.load_state_dict(source.state_dict())
    assert target.eval_fn is len
    with pytest.raises(RuntimeError, match="needs a function"):
        target.load_state_dict({**state, "eval_fn": 3})


def test_a_saved_default_function_fits_an_empty_slot():
    """The documented system saved the default reduction; ours needs no other."""
    state = in_file({"reduction_fn": sum, "reduction_fn_purpose": Variable("sum")})
    fresh = cog.ExactMatchEvaluator()
    fresh.load_state_dict(state)
    assert fresh(Variable(["a"]), ["a"])[0].data == 1
    state = in_file({"reduction_fn": max})
    with pytest.raises(RuntimeError, match=r"builtins\.max"):
        cog.ExactMatchEvaluator().load_state_dict(state)


def test_documented_files_load_into_fresh_agents():
    """A state captured after a call, as documented systems did, fits a fresh agent."""
    source = Agent("learned")
    source.chat.messages = [
        {"role": "system", "content": [source.prompt]},
        {"role": "user", "content": [Variable("{message}")]},
    ]
    source.chat.forward_model_client = _used(7)
    source.chat.completion_args = {"temperature": 0}
    target, client = Agent(), ScriptedModel("ok")
    result = target.load_state_dict(
        in_file(source.state_dict(keep_vars=False)),
        model_clients={"chat.forward_model_client": client},
    )
    assert repr(result) == "<All keys matched successfully>"
    assert target.chat(inputs={"message": "hi"}).data == "ok"
    assert client.requests[0].messages[0]["content"] == "learned"
