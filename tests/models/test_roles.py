"""The backward model client: who writes the critiques."""

import pytest

from afnio._dispatch import run_sync
from afnio.errors import InputTypeError, InputValueError
from afnio.models import get_backward_model_client, set_backward_model_client
from afnio.models.openai import OpenAI
from afnio.models.testing import ScriptedModel

KEY = {"api_key": "sk-test"}


def test_getters_reflect_what_was_set():
    """BM01: provider, model, arguments and the client inside."""
    with set_backward_model_client("openai/gpt-4o", KEY, {"temperature": 0}):
        client = get_backward_model_client()
    assert client.get_provider() == "openai"
    assert client.model == "gpt-4o"
    assert client.completion_args == {"temperature": 0}
    assert isinstance(client.client, OpenAI)
    assert client.get_usage()["total_tokens"] == 0


def test_unset_is_an_error_that_says_how_to_set_it():
    """BM02: nobody chosen is a RuntimeError."""
    with pytest.raises(RuntimeError, match="set_backward_model_client"):
        get_backward_model_client()


def test_path_needs_a_slash():
    """BM03: the expected form is named."""
    with pytest.raises(ValueError, match="provider/model"):
        set_backward_model_client("openai-gpt-4o", KEY)


def test_unknown_provider_is_named():
    """BM04: the provider is named, with the known ones."""
    with pytest.raises(
        ValueError, match=r"Unsupported provider: notvalid\..*\n.*openai"
    ):
        set_backward_model_client("notvalid/gpt-4o")


def test_other_values_make_another_client():
    """BM05: a changed setting is a new client."""
    with set_backward_model_client("openai/gpt-4o", KEY):
        first = get_backward_model_client()
        with set_backward_model_client("openai/gpt-4o-mini", KEY):
            second = get_backward_model_client()
    assert first is not second
    assert first.client is not second.client


@pytest.mark.parametrize("completion_args", [None, {}, {"temperature": 1}])
def test_equal_values_keep_the_client(completion_args):
    """BM06: setting the same again keeps the client, and so its usage."""
    with set_backward_model_client("openai/gpt-4o", KEY, completion_args):
        first = get_backward_model_client()
        with set_backward_model_client("openai/gpt-4o", KEY, completion_args):
            assert get_backward_model_client() is first


def test_caller_s_arguments_are_left_alone():
    """BM07: neither dict given is written to, nor read later."""
    client_args, completion_args = dict(KEY), {"temperature": 0}
    with set_backward_model_client("openai/gpt-4o", client_args, completion_args):
        completion_args["temperature"] = 1
        assert get_backward_model_client().completion_args == {"temperature": 0}
    assert client_args == KEY


def test_ready_client_and_overrides(ask):
    """A ready client is asked with the settings, and overrides come first."""
    scripted = ScriptedModel("x")
    with set_backward_model_client(
        scripted, completion_args={"temperature": 0, "model": "m", "seed": 1}
    ):
        client = get_backward_model_client()
        client.chat(ask(), temperature=1)
        run_sync(client.agenerate(ask("two"), role="judge"))
    first, second = scripted.requests
    assert first.args == {"temperature": 1, "model": "m", "seed": 1}
    assert (first.role, second.role) == ("critic", "judge")
    assert client.model == "m"
    assert client.get_usage()["total_tokens"] > 0
    client.clear_usage()
    assert scripted.get_usage()["total_tokens"] == 0


def test_default_outlives_a_block():
    """A block in between leaves the process default in force."""
    set_backward_model_client(ScriptedModel("default"))
    default = get_backward_model_client()
    try:
        with set_backward_model_client(ScriptedModel("inner")) as inner:
            assert get_backward_model_client() is inner
        assert get_backward_model_client() is default
    finally:
        from afnio.models import _roles

        _roles._setting.apply(None)


def test_wrong_arguments_are_refused():
    """Neither a number nor client_args for a ready client makes sense."""
    with pytest.raises(InputTypeError, match="model_path is int"):
        set_backward_model_client(3)
    with pytest.raises(InputValueError, match="client_args"):
        set_backward_model_client(ScriptedModel("x"), client_args=KEY)
