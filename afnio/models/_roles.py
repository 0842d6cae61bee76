"""Who writes the critiques: the backward model client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from afnio._dispatch import run_sync
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models._messages import Messages, Reply
from afnio.models._settings import Applied, Setting
from afnio.models.model import ChatCompletionModel

__all__ = [
    "BackwardModelClient",
    "get_backward_model_client",
    "set_backward_model_client",
]


class BackwardModelClient:
    """A client and the settings it is asked with.

    Args:
        client: Who answers.
        completion_args: Arguments of every call, such as ``temperature``; ``model``
            among them overrides the client's own.
        client_args: What the client was made with.
        path: The ``"provider/model"`` path it was made from, if it was.
    """

    def __init__(
        self,
        client: ChatCompletionModel,
        *,
        completion_args: Mapping[str, Any] | None = None,
        client_args: Mapping[str, Any] | None = None,
        path: str | None = None,
    ) -> None:
        self.client = client
        self._completion_args = dict(completion_args or {})
        self._client_args = dict(client_args or {})
        self._path = path

    def __repr__(self) -> str:
        return f"BackwardModelClient({self.client!r})"

    @property
    def model(self) -> str | None:
        """The model that is asked."""
        name = self._completion_args.get("model", self.client.model)
        return None if name is None else str(name)

    @property
    def completion_args(self) -> dict[str, Any]:
        """Arguments of every call; a copy."""
        return dict(self._completion_args)

    def matches(
        self,
        path: str,
        client_args: Mapping[str, Any],
        completion_args: Mapping[str, Any],
    ) -> bool:
        """Whether this client was made from just these settings."""
        return (
            self._path == path
            and self._client_args == dict(client_args)
            and self._completion_args == dict(completion_args)
        )

    async def agenerate(
        self, messages: Messages, *, role: str = "critic", **overrides: Any
    ) -> Reply:
        """Ask for one reply; ``overrides`` come before the settings.

        Model calls: 1.
        """
        args = {**self._completion_args, **overrides}
        return await self.client.agenerate(messages, role=role, **args)

    async def achat(self, messages: Messages, **overrides: Any) -> str | None:
        """Ask for one reply and return its text."""
        return (await self.agenerate(messages, **overrides)).text

    def chat(self, messages: Messages, **overrides: Any) -> str | None:
        """Ask for one reply and wait for its text."""
        return run_sync(self.achat(messages, **overrides))

    def get_provider(self) -> str | None:
        """Return who answers."""
        return self.client.get_provider()

    def get_usage(self) -> dict[str, Any]:
        """Return what the client has used, in the documented form."""
        return self.client.get_usage()

    def clear_usage(self) -> None:
        """Set the client's usage to zero."""
        self.client.clear_usage()


_setting: Final[Setting[BackwardModelClient | None]] = Setting("backward_model", None)


def set_backward_model_client(
    model_path: str | ChatCompletionModel = "openai/gpt-4o",
    client_args: Mapping[str, Any] | None = None,
    completion_args: Mapping[str, Any] | None = None,
) -> Applied[BackwardModelClient | None]:
    """Choose who writes the critiques: for the process, or for a ``with`` block.

    Setting again what is set already keeps the client, and its usage.

    Args:
        model_path: ``"provider/model"``, or a ready client.
        client_args: Constructor arguments of the client; only with a path.
        completion_args: Arguments of every call.

    Raises:
        UnknownModelError: The path has no slash, or nobody knows the provider.
        InputValueError: ``client_args`` came with a ready client.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> with set_backward_model_client(ScriptedModel("Be brief.")):
        ...     get_backward_model_client().get_provider()
        'scripted'
    """
    if isinstance(model_path, ChatCompletionModel):
        if client_args:
            raise InputValueError(
                "client_args came with a ready client; pass them to its constructor."
            )
        ready = BackwardModelClient(model_path, completion_args=completion_args)
        return _setting.apply(ready)
    if not isinstance(model_path, str):
        raise InputTypeError(
            f"model_path is {type(model_path).__name__}; expected 'provider/model' or "
            "a ChatCompletionModel."
        )
    return _setting.apply(_made(model_path, client_args or {}, completion_args or {}))


def _made(
    path: str, client_args: Mapping[str, Any], completion_args: Mapping[str, Any]
) -> BackwardModelClient:
    current = _setting.get()
    if current is not None and current.matches(path, client_args, completion_args):
        return current
    from afnio.models.model_registry import get_model

    return BackwardModelClient(
        get_model(path, **client_args),
        completion_args=completion_args,
        client_args=client_args,
        path=path,
    )


def get_backward_model_client() -> BackwardModelClient:
    """Return who writes the critiques here.

    Raises:
        StateError: Nobody was chosen.
    """
    client = _setting.get()
    if client is None:
        raise StateError(
            "no backward model client is set, and a gradient needs one; call "
            "afnio.set_backward_model_client('provider/model') or pass it a client."
        )
    return client
