"""What the presets have in common: a search with its parts chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._engine import Search
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Parts, Stop
from afnio.optim.gates import Gate
from afnio.optim.optimizer import ParamsT


@dataclass(frozen=True, slots=True)
class Common:
    """The arguments that every preset takes, except its parameters and completions'."""

    model_client: ChatClient | None
    constraints: Iterable[str | Variable] | None
    gate: Gate | None
    """None for the preset's own."""
    stop_when: Stop | None
    """None for the preset's own."""
    options: RewriteOptions | None
    seed: int


class Preset(Search):
    """A published method: `Search` with parts of its choice.

    Args:
        params: Parameters, or groups of them.
        parts: What the method is made of, with its own gate.
        common: What the user has asked for.
        defaults: Further options of a group.
        **completion_args: Passed to the model with every call.
    """

    def __init__(
        self,
        params: ParamsT,
        parts: Parts,
        common: Common,
        *,
        defaults: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> None:
        asked = {"gate": common.gate, "stop_when": common.stop_when}
        chosen: dict[str, Any] = {k: v for k, v in asked.items() if v is not None}
        super().__init__(
            params,
            replace(parts, **chosen),
            common.model_client,
            common.constraints,
            options=common.options,
            seed=common.seed,
            defaults=defaults,
            **completion_args,
        )
