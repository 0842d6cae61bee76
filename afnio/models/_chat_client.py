"""What can be asked: the type of ``model_client`` and ``forward_model_client``."""

from __future__ import annotations

from typing import Any, Protocol

from afnio.models._messages import Messages, Reply


class ChatClient(Protocol):
    """A `ChatCompletionModel`, or the `BackwardModelClient` that stands for one."""

    async def agenerate(
        self, messages: Messages, *, role: str = ..., **args: Any
    ) -> Reply:
        """Return one reply, through the one call path."""
