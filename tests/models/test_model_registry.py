"""The registry: classes by name, clients by path."""

import pytest

from afnio.errors import InputValueError, UnknownModelError
from afnio.models import get_model, register_provider
from afnio.models.anthropic import Anthropic
from afnio.models.model_registry import MODEL_REGISTRY
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.models.testing import ScriptedModel


def test_registry_has_the_documented_names():
    """Both OpenAI names are there, each with a class of its own name."""
    assert MODEL_REGISTRY["OpenAI"] is OpenAI
    assert MODEL_REGISTRY["AsyncOpenAI"] is AsyncOpenAI
    assert all(name == kind.__name__ for name, kind in MODEL_REGISTRY.items())


def test_path_makes_a_client():
    """Everything after the first slash is the model."""
    client = get_model("openai/org/some-model", api_key="sk-test")
    assert isinstance(client, OpenAI)
    assert client.model == "org/some-model"
    assert isinstance(get_model("anthropic/claude", api_key="x"), Anthropic)


@pytest.mark.parametrize("path", ["gpt-4o", "openai/", "/gpt-4o", ""])
def test_incomplete_paths_are_refused(path):
    """A path needs both parts."""
    with pytest.raises(UnknownModelError, match="'provider/model'"):
        get_model(path)


def test_misspelt_provider_gets_a_suggestion():
    """The closest provider is suggested."""
    with pytest.raises(UnknownModelError, match="did you mean 'anthropic'"):
        get_model("antropic/claude")


def test_third_parties_can_register():
    """A registered factory is called with the model and the arguments."""
    register_provider(
        "scripted-test", lambda model, **args: ScriptedModel(model=model, **args)
    )
    client = get_model("scripted-test/abc", replies="x")
    assert client.model == "abc"
    register_provider("lazy-test", "afnio.models.testing:ScriptedModel")
    assert isinstance(get_model("lazy-test/abc"), ScriptedModel)


@pytest.mark.parametrize("name", ["openai", "a/b", ""])
def test_impossible_provider_names_are_refused(name):
    """Neither a taken name nor one with a slash can be registered."""
    with pytest.raises(InputValueError):
        register_provider(name, ScriptedModel)
