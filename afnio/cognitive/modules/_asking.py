"""How modules that ask a model configure whom, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio.autodiff._chat import MultiTurnMessages
from afnio.cognitive.modules._given import required
from afnio.cognitive.modules.module import Module
from afnio.models import BaseModel
from afnio.models._chat_client import ChatClient


class Asking(Module):
    """A module with a client, messages and completion arguments.

    All of them belong to the state; those of a call come first.
    """

    forward_model_client: BaseModel | None
    messages: MultiTurnMessages | None
    completion_args: dict[str, Any] | None

    def _register_asking(
        self,
        client: BaseModel | None,
        messages: MultiTurnMessages | None,
        completion_args: dict[str, Any],
    ) -> None:
        self.register_model("forward_model_client", client)
        self.register_chat("messages", messages)
        self.register_completion_config("completion_args", completion_args or None)

    def _for_call(
        self,
        client: ChatClient | None,
        messages: MultiTurnMessages | None,
        completion_args: Mapping[str, Any],
    ) -> tuple[ChatClient, MultiTurnMessages, dict[str, Any]]:
        """Return a call's client and messages, or else the module's; and all arguments.

        Raises:
            InputTypeError: Neither has a client, or messages.
        """
        asked = self.forward_model_client if client is None else client
        chat = self.messages if messages is None else messages
        return (
            required(self, "forward_model_client", asked),
            required(self, "messages", chat),
            {**(self.completion_args or {}), **completion_args},
        )
