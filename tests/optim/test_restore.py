"""A saved optimizer that was edited is refused by name, and nothing has changed."""

from __future__ import annotations

import copy
import json

import pytest
from optim_helpers import Rules

import afnio
from afnio.errors import InputValueError
from afnio.models.testing import ScriptedModel, feedback
from afnio.optim import TGD, PatchTGD


@pytest.fixture(scope="module")
def saved():
    """What a search and a descent have saved after some steps, as JSON has it."""
    with afnio.set_backward_model_client(ScriptedModel(feedback("Name the rule."))):
        rules = Rules()
        search = PatchTGD([rules.prompt], rules.optimizer)
        for _ in range(2):
            search.step(rules.closure())
        other = Rules(edits=False)
        descent = TGD([other.prompt], other.optimizer, momentum=2)
        for _ in range(2):
            descent.zero_grad()
            other.evaluate(other.train)[1].backward()
            descent.step()
    with afnio.set_backward_model_client(ScriptedModel()):
        made = {"search": search.state_dict(), "descent": descent.state_dict()}
    clients = {"model_client": rules.optimizer}
    return json.loads(json.dumps(made, default=_client)), clients


def _client(value):
    return {"class_type": "X", "provider": "scripted", "usage": {}}


def fresh(kind):
    """Return an optimizer of the kind, new."""
    prompt = Rules().prompt
    return PatchTGD([prompt]) if kind == "search" else TGD([prompt], momentum=1)


def edited(state, path, value):
    """Return the state with a value at a path, the last key of which is replaced."""
    state = copy.deepcopy(state)
    at = state
    for key in path[:-1]:
        at = at[key]
    assert path[-1] in at or isinstance(path[-1], int)
    at[path[-1]] = value
    return state


EDITS = [
    ("descent", ["steps"], "three", "steps"),
    ("descent", ["steps"], True, "steps"),
    ("descent", ["param_groups", 0, "momentum"], "2", "momentum"),
    ("descent", ["param_groups", 0, "momentum"], -1, "momentum"),
    ("descent", ["history", 0, "step"], "1", r"history\.step is '1'"),
    ("descent", ["history", 0, "accepted"], 1, r"history\.accepted is 1"),
    ("descent", ["history", 0, "changes", 0, "attempts"], 1.5, "attempts is 1.5"),
    ("descent", ["history"], [{}], "history that cannot be read"),
    ("descent", ["history"], 5, "history that cannot be read"),
    ("descent", ["state", "0"], "x", r"state\['0'\] is str"),
    ("descent", ["state"], {"9": {}}, r"state\['9'\]"),
    ("descent", ["search"], "x", "search is 'x'"),
    ("search", ["param_groups", 0, "edit_lr"], "4", "edit_lr"),
    ("search", ["search", "proposed"], "4", r"search\.proposed is '4'"),
    ("search", ["search", "merged"], 0.5, r"search\.merged is 0\.5"),
    ("search", ["search", "left"], 3, r"search\.left is 3, expected list"),
    ("search", ["search", "candidates", 0, "number"], None, r"candidates\.number"),
    ("search", ["search", "candidates", 0, "scores"], {"0": ["a"]}, "candidates.score"),
    ("search", ["search", "candidates", 0, "parents"], ["x"], r"parents\[0\] is 'x'"),
    ("search", ["search", "rng"], [], "search that cannot be read"),
    ("search", ["search", "book"], {}, "search that cannot be read"),
    ("search", ["history", 0, "candidate_scores"], ["a"], r"candidate_scores\[0\]"),
]


@pytest.mark.parametrize(("kind", "path", "value", "message"), EDITS)
def test_what_was_edited_is_named(saved, kind, path, value, message):
    """With its value and what is expected; the optimizer is as it was."""
    states, clients = saved
    optimizer = fresh(kind)
    before = optimizer.state_dict()
    with pytest.raises(InputValueError, match=message):
        optimizer.load_state_dict(edited(states[kind], path, value), clients)
    assert optimizer.state_dict() == before


def test_an_option_of_another_optimizer_is_refused(saved):
    """Such as one that was mistyped."""
    states, clients = saved
    state = copy.deepcopy(states["descent"])
    state["param_groups"][0]["momentun"] = 3
    with pytest.raises(InputValueError, match="did you mean 'momentum'"):
        fresh("descent").load_state_dict(state, clients)


@pytest.mark.parametrize("kind", ["search", "descent"])
def test_what_was_not_edited_is_taken(saved, kind):
    """Whole numbers do where numbers are expected."""
    states, clients = saved
    optimizer = fresh(kind)
    optimizer.load_state_dict(states[kind], clients)
    assert len(optimizer.history) == len(states[kind]["history"]) > 0
    again = json.loads(json.dumps(optimizer.state_dict(), default=_client))
    assert again["history"] == states[kind]["history"]
    assert again["search"] == states[kind]["search"]
