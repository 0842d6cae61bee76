"""Tests of hooks around saving and loading state."""

import pytest

import afnio.cognitive as cog
from afnio.cognitive.modules._errors import StateDictError


class Part(cog.Module):
    def __init__(self):
        super().__init__()
        self.task = cog.Parameter("Answer.", role="task")


class Whole(cog.Module):
    def __init__(self):
        super().__init__()
        self.part = Part()


def test_saving_hooks_run_in_every_module():
    """Pre-hooks see prefix and keep_vars; post-hooks may change the state."""
    whole, calls = Whole(), []
    whole.part.register_state_dict_pre_hook(lambda *args: calls.append(args))

    def stamp(module, state, prefix, metadata):
        assert metadata == {"version": 1}
        state[f"{prefix}stamp"] = type(module).__name__

    handle = whole.part.register_state_dict_post_hook(stamp)
    assert whole.state_dict()["part.stamp"] == "Part"
    assert calls == [(whole.part, "part.", True)]
    handle.remove()
    assert "part.stamp" not in whole.state_dict()


def test_loading_hooks_can_rename_keys():
    """A file of an older program loads; the caller's dict stays as it was."""
    whole = Whole()
    old = {"part.prompt": cog.Parameter("Old.", role="task")}

    def rename(_module, state, prefix, *_):
        state[f"{prefix}task"] = state.pop(f"{prefix}prompt")

    whole.part.register_load_state_dict_pre_hook(rename)
    whole.load_state_dict(old)
    assert whole.part.task.data == "Old."
    assert list(old) == ["part.prompt"]


def test_what_hooks_report_is_an_error():
    """Problems that a hook finds stop the loading before anything has changed."""
    whole = Whole()

    def object_to_it(*args):
        assert args[4] is True
        args[-1].append("the prompt is in Latin")

    whole.register_load_state_dict_pre_hook(object_to_it)
    state = {"part.task": cog.Parameter("Responde.", role="task")}
    with pytest.raises(StateDictError, match="the prompt is in Latin"):
        whole.load_state_dict(state)
    assert whole.part.task.data == "Answer."


def test_post_hooks_see_and_change_the_keys():
    """What they do to the lists is what the caller gets."""
    whole = Whole()
    whole.register_load_state_dict_post_hook(lambda _m, keys: keys[1].clear())
    state = {**Whole().state_dict(), "extra": cog.Parameter("x", role="x")}
    assert whole.load_state_dict(state, strict=False) == ([], [])
