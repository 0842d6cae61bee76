"""The simulated models as clients of afnio: in process, at once, on its call path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from afnio.models import ChatCompletionModel
from benchmarks.simworld.models import Models, Role


class SimModel(ChatCompletionModel):
    """One of a world's models.

    Args:
        models: All of them.
        role: Which one.
    """

    def __init__(self, models: Models, role: Role) -> None:
        super().__init__("simworld", {"name": f"sim-{role}"})
        self.model = f"sim-{role}"
        self.set_price(self.model, input=0, output=0)
        self._models = models
        self._role: Role = role

    async def achat(self, messages: Sequence[Mapping[str, Any]], **args: Any) -> str:
        """Answer at once."""
        return self._models.answer(self._role, messages, args)
