"""ChatCompletion as a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio._variable import Variable
from afnio.autodiff._chat import MultiTurnMessages
from afnio.cognitive import functional
from afnio.cognitive.modules._asking import Asking
from afnio.models import BaseModel
from afnio.models._chat_client import ChatClient


class ChatCompletion(Asking):
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

    def __init__(
        self,
        forward_model_client: BaseModel | None = None,
        messages: MultiTurnMessages | None = None,
        **completion_args: Any,
    ) -> None:
        super().__init__()
        self._register_asking(forward_model_client, messages, completion_args)

    def forward(
        self,
        forward_model_client: ChatClient | None = None,
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
        client, chat, args = self._for_call(
            forward_model_client, messages, completion_args
        )
        return functional.chat_completion(client, chat, inputs, **args)
