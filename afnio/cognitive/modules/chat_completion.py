"""ChatCompletion as a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio._variable import Variable
from afnio.autodiff._chat import MultiTurnMessages
from afnio.cognitive import functional
from afnio.cognitive.modules.module import Module
from afnio.errors import InputTypeError
from afnio.models import BaseModel


class ChatCompletion(Module):
    """Ask a model to continue a conversation.

    What is configured here belongs to the module's state. A call may override or add
    to it, and nothing of a call is remembered.

    Args:
        forward_model_client: Who answers.
        messages: ``[{"role": str, "content": [Variable, …]}, …]``. Parameters in them
            are parameters of the module.
        **completion_args: Passed to the client: model, temperature, ….

    Model calls: one per sample, none here; see
    `afnio.autodiff.lm_ops.ChatCompletion`.

    Examples:
        >>> import afnio, afnio.cognitive as cog
        >>> from afnio.models.testing import ScriptedModel
        >>> ask = cog.ChatCompletion(
        ...     ScriptedModel({"Paris": "France"}),
        ...     [{"role": "user", "content": [afnio.Variable("Where is {city}?")]}],
        ... )
        >>> ask(inputs={"city": "Paris"}).data
        'France'
    """

    forward_model_client: BaseModel | None
    messages: MultiTurnMessages | None
    completion_args: dict[str, Any] | None

    def __init__(
        self,
        forward_model_client: BaseModel | None = None,
        messages: MultiTurnMessages | None = None,
        **completion_args: Any,
    ) -> None:
        super().__init__()
        self.register_model("forward_model_client", forward_model_client)
        self.register_chat("messages", messages)
        self.register_completion_config("completion_args", completion_args or None)

    def forward(
        self,
        forward_model_client: Any = None,
        messages: MultiTurnMessages | None = None,
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> Variable:
        """Return the reply, pending.

        Args:
            forward_model_client: Who answers, instead of the configured client.
            messages: The conversation, instead of the configured one.
            inputs: Values of ``{placeholders}`` in the messages.
            **completion_args: Added to the configured ones; these come first.

        Raises:
            InputTypeError: There is no client or no messages, here or configured.
        """
        client, chat = configured(self, forward_model_client, messages)
        args = {**(self.completion_args or {}), **completion_args}
        return functional.chat_completion(client, chat, inputs, **args)


def configured(module: Any, client: Any, messages: Any) -> tuple[Any, Any]:
    """Return a call's client and messages, or else the module's.

    Raises:
        InputTypeError: Neither has one.
    """
    client = module.forward_model_client if client is None else client
    messages = module.messages if messages is None else messages
    for name, value in (("forward_model_client", client), ("messages", messages)):
        if value is None:
            raise InputTypeError(
                f"{type(module).__name__} has no {name}; pass it when you make the "
                "module or when you call it."
            )
    return client, messages
