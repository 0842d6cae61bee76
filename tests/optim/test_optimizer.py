"""Optimizer: groups, state, hooks and what it refuses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optim_helpers import param, rewriter

from afnio import Variable
from afnio._dispatch import run_sync
from afnio.errors import InputTypeError, InputValueError
from afnio.models.testing import ScriptedModel
from afnio.optim import TGD, Optimizer
from afnio.optim._state import from_plain, to_plain


def test_op01_a_new_optimizer_has_one_group_and_no_state():
    """Options stand in the group, state is empty."""
    opt = TGD([param()], ScriptedModel())
    assert dict(opt.state) == {}
    assert sorted(opt.param_groups[0]) == [
        "completion_args",
        "constraints",
        "inputs",
        "messages",
        "model_client",
        "momentum",
        "params",
    ]


def test_op02_state_dict_works_before_the_first_step():
    """Nothing has happened yet, and that can be saved."""
    saved = TGD([param()], ScriptedModel()).state_dict()
    assert saved["state"] == {}
    assert saved["param_groups"][0]["params"] == [0]
    assert json.loads(json.dumps(saved)) == saved


@pytest.mark.parametrize("name", ["clear_grad", "zero_grad"])
def test_op03_clearing_keeps_the_list(name):
    """Grads are emptied in place."""
    prompt = param("x", "feedback")
    grads = prompt.grad
    getattr(Optimizer([prompt], {}), name)()
    assert prompt.grad == []
    assert prompt.grad is grads


def test_op04_a_group_is_added_with_defaults_filled_in():
    """The list of groups stays the same object."""
    opt = TGD([param()], ScriptedModel(), momentum=2)
    groups, other = opt.param_groups, param("other")
    opt.add_param_group({"params": other, "momentum": 5})
    assert opt.param_groups is groups
    assert groups[1]["params"] == [other]
    assert groups[1]["momentum"] == 5
    assert groups[1]["messages"] is groups[0]["messages"]


@pytest.mark.parametrize(
    "groups", [[1], [2, 1], [1, 1, 1]], ids=["fewer", "sizes", "more"]
)
def test_op05_loading_into_other_groups_is_refused(groups):
    """Number and sizes of groups must match; the message tells both."""
    saved = TGD(
        [{"params": [param()]}, {"params": [param()]}], ScriptedModel()
    ).state_dict()
    other = TGD(
        [{"params": [param() for _ in range(size)]} for size in groups],
        ScriptedModel(),
    )
    with pytest.raises(InputValueError, match="does not fit"):
        other.load_state_dict(saved, {"model_client": ScriptedModel()})


def test_op06_loading_needs_the_clients_it_was_saved_with():
    """A missing client is an error that names the option; surplus ones are ignored."""
    saved = TGD([param()], ScriptedModel(), momentum=7).state_dict()
    opt, client = TGD([param()], ScriptedModel()), ScriptedModel()
    with pytest.raises(InputValueError, match="model_client"):
        opt.load_state_dict(saved)
    assert opt.param_groups[0]["momentum"] == 0
    opt.load_state_dict(saved, {"model_client": client, "surplus": 1})
    assert opt.param_groups[0]["model_client"] is client
    assert opt.param_groups[0]["momentum"] == 7
    assert client.get_usage() == ScriptedModel().get_usage()


def test_groups_may_get_different_clients():
    """A key with the group's number goes first."""
    groups = [{"params": [param()]}, {"params": [param()]}]
    opt = TGD(groups, ScriptedModel())
    one, two = ScriptedModel(), ScriptedModel()
    clients = {"model_client": one, "1.model_client": two}
    opt.load_state_dict(opt.state_dict(), clients)
    assert [group["model_client"] for group in opt.param_groups] == [one, two]


def test_op07_state_survives_a_round_trip():
    """Texts, tuples, numbers as keys and Variables come back as they were."""
    one, two = param(), param()
    opt = Optimizer([one, two], {"note": "hello"})
    opt.state[two] = {
        "text": "hello",
        "pair": (1, [Variable("v", "r")]),
        "by": {3: "x"},
    }
    saved = json.loads(json.dumps(opt.state_dict()))
    fresh = Optimizer([one, two], {"note": "bye"})
    fresh.load_state_dict(saved)
    assert fresh.state_dict() == opt.state_dict()
    state = fresh.state[two]
    assert state["text"] == "hello"
    assert state["by"] == {3: "x"}
    assert isinstance(state["pair"], tuple)
    assert (state["pair"][1][0].data, state["pair"][1][0].role) == ("v", "r")
    assert fresh.param_groups[0]["note"] == "hello"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.just({"__variable__": 1, "__tuple__": []})
    ),
    max_leaves=20,
)


@given(plain)
@settings(max_examples=100, deadline=None)
def test_any_state_survives_json(value):
    """Plain data never mistakes a value for one of its own marks."""
    assert from_plain(json.loads(json.dumps(to_plain(value)))) == value


def test_op08_the_repr_lists_options_per_group():
    """Keys are sorted and parameters left out, as in PyTorch."""
    opt = Optimizer([{"params": [param()], "b": 2}], {"b": 1, "a": "x"})
    assert repr(opt) == "Optimizer (\nParameter Group 0\n    a: x\n    b: 2\n)"


def test_op09_a_parameter_belongs_to_one_group_once():
    """Twice in one group or in two groups is an error."""
    prompt = param(role="the prompt")
    with pytest.raises(InputValueError, match=r"the prompt.*twice"):
        Optimizer([prompt, prompt], {})
    opt = Optimizer([prompt], {})
    with pytest.raises(InputValueError, match="twice"):
        opt.add_param_group({"params": [prompt]})
    assert len(opt.param_groups) == 1


def test_what_cannot_be_optimized_is_refused():
    """Only leaf Variables, in a fixed order, at least one."""
    prompt = param()
    with pytest.raises(InputValueError, match="empty"):
        Optimizer([], {})
    with pytest.raises(InputValueError, match="empty"):
        Optimizer([{"params": []}], {})
    with pytest.raises(InputValueError, match="leaf"):
        Optimizer([prompt + "!"], {})
    with pytest.raises(InputTypeError, match="list"):
        Optimizer(prompt, {})
    with pytest.raises(InputTypeError, match="fixed order"):
        Optimizer({prompt}, {})
    with pytest.raises(InputTypeError, match="str"):
        Optimizer(["x"], {})
    with pytest.raises(InputValueError, match="did you mean 'momentum'"):
        TGD([{"params": [prompt], "momentun": 3}], ScriptedModel())


def test_the_base_step_changes_nothing():
    """It ignores the closure, returns None and leaves grad alone."""
    prompt = param("x", "feedback")
    assert Optimizer([prompt], {}).step() is None
    assert prompt.data == "x"
    assert len(prompt.grad) == 1


def test_step_hooks_run_around_the_step_and_can_be_removed():
    """A pre hook may replace the arguments."""
    seen = []
    opt = TGD([param()], ScriptedModel())
    pre = opt.register_step_pre_hook(lambda o, a, k: seen.append("pre"))
    swap = opt.register_step_pre_hook(lambda o, a, k: ((lambda: "swapped",), k))
    opt.register_step_post_hook(lambda o, a, k: seen.append(("post", a[0]())))
    assert opt.step(lambda: "given") == "swapped"
    pre.remove()
    swap.remove()
    assert opt.step(lambda: "given") == "given"
    assert seen == ["pre", ("post", "swapped"), ("post", "given")]


@pytest.mark.parametrize("awaited", [False, True])
def test_a_subclass_may_override_only_step(awaited):
    """The awaited form calls the user's blocking one."""

    class Mine(Optimizer):
        def step(self, closure=None):
            self.param_groups[0]["params"][0].data += "!"
            return "done"

    prompt = param("mine")
    opt = Mine([prompt], {})
    assert (run_sync(opt.astep()) if awaited else opt.step()) == "done"
    assert prompt.data == "mine!"


@pytest.mark.parametrize("awaited", [False, True])
def test_an_overridden_step_may_call_the_one_above(awaited):
    """Both forms run the user's code and the real step once each."""
    seen = []

    class Logged(TGD):
        def step(self, closure=None):
            result = super().step(closure)
            seen.append(result)
            return result

    prompt = param("x", "shout")
    opt = Logged([prompt], rewriter())
    opt.register_step_post_hook(lambda *_: seen.append("hook"))
    result = run_sync(opt.astep(lambda: 1)) if awaited else opt.step(lambda: 1)
    assert (result, seen, prompt.data) == (1, ["hook", 1], "X")


def test_listeners_hear_of_every_record_and_history_is_saved():
    """What a tracker is told is what the history keeps."""
    heard = []
    prompt = param("a text", "shout")
    opt = TGD([prompt], rewriter())
    opt.on_record.append(heard.append)
    opt.step()
    assert heard == opt.history
    assert heard[0].changes[0].after == "A TEXT"
    other = TGD([param()], rewriter())
    other.load_state_dict(
        json.loads(json.dumps(opt.state_dict())), {"model_client": rewriter()}
    )
    assert other.history == opt.history
    assert other.state_dict()["steps"] == 1
