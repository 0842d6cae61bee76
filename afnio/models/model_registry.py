"""Which clients there are: by class name, and by ``"provider/model"`` path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from afnio._text import closest, shorten
from afnio.errors import InputTypeError, InputValueError, UnknownModelError
from afnio.models.anthropic import Anthropic, AsyncAnthropic
from afnio.models.local import LocalModel
from afnio.models.model import BaseModel, ChatCompletionModel
from afnio.models.openai import AsyncOpenAI, OpenAI

__all__ = ["MODEL_REGISTRY", "PROVIDERS", "get_model", "register_provider"]

Factory: TypeAlias = Callable[..., ChatCompletionModel]
"""Called as ``factory(model=name, **client_args)``."""

MODEL_REGISTRY: Final[dict[str, type[BaseModel]]] = {
    "Anthropic": Anthropic,
    "AsyncAnthropic": AsyncAnthropic,
    "AsyncOpenAI": AsyncOpenAI,
    "LocalModel": LocalModel,
    "OpenAI": OpenAI,
}
"""Client classes by name, as checkpoints name them. Add yours to extend it."""

PROVIDERS: Final[Mapping[str, Factory]] = MappingProxyType(
    {
        "anthropic": Anthropic,
        "local": LocalModel.from_name,
        "openai": OpenAI,
    }
)
"""The provider part of a path, and what makes its client."""

_registered: Final[dict[str, Factory | str]] = {}


def register_provider(name: str, factory: Factory | str) -> None:
    """Let ``"name/model"`` paths make clients of your own.

    Args:
        name: The part of a path before the first slash.
        factory: Called as ``factory(model=…, **client_args)``; or ``"module:Class"``,
            imported on first use.

    Raises:
        InputValueError: The name is taken, or could not stand in a path.
    """
    if not name or "/" in name:
        raise InputValueError(
            f"{name!r} cannot name a provider: empty, or has a slash."
        )
    if name in PROVIDERS or _registered.get(name, factory) != factory:
        raise InputValueError(f"the provider name {name!r} is taken; choose another.")
    _registered[name] = factory


def split_path(path: str) -> tuple[str, str]:
    """Split ``"provider/model"`` at the first slash.

    Raises:
        UnknownModelError: There is no slash, or nothing beside it.
    """
    if not isinstance(path, str):
        raise InputTypeError(
            f"a model path is a str of the form 'provider/model', not "
            f"{type(path).__name__}."
        )
    provider, slash, model = path.partition("/")
    if not (provider and slash and model):
        raise UnknownModelError(
            f"{shorten(path)!r} is not a model path; expected the form "
            "'provider/model', such as 'openai/gpt-4o'."
        )
    return provider, model


def get_model(path: str, **client_args: Any) -> ChatCompletionModel:
    """Make the client that a path such as ``"openai/gpt-4o"`` names.

    Args:
        path: ``"openai/…"``, ``"anthropic/…"``, ``"local/default"``, ``"local/`` and a
            path of a GGUF file, or a provider of `register_provider`.
        **client_args: Passed to the client.

    Raises:
        UnknownModelError: The path has no slash, or nobody knows the provider.
    """
    provider, model = split_path(path)
    return _factory(provider)(model=model, **client_args)


def _factory(provider: str) -> Factory:
    factory = PROVIDERS.get(provider) or _registered.get(provider)
    if factory is None:
        known = sorted({*PROVIDERS, *_registered})
        raise UnknownModelError(
            f"Unsupported provider: {shorten(provider)}. {closest(provider, known)}\n"
            f"  providers: {', '.join(known)}"
        )
    if isinstance(factory, str):
        module, _, name = factory.partition(":")
        return cast("Factory", getattr(import_module(module), name))
    return factory
