"""What model clients have cost since a Trainer started to look; nothing is cleared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from afnio._text import describe
from afnio.errors import InputTypeError
from afnio.models._roles import BackwardModelClient

_DIGITS: Final = 10
"""Decimal places kept, so that sums do not depend on where a run was resumed."""


class Spend:
    """The cost of model clients, read by difference.

    A counter that goes down was cleared by somebody; counting goes on from there.
    """

    def __init__(self) -> None:
        self._total = 0.0
        self._clients: list[Any] = []
        self._seen: list[float] = []

    @contextmanager
    def watching(self, clients: Iterable[Any]) -> Iterator[None]:
        """Count what these clients spend inside the block; an outer block goes on.

        A client that is given twice, also through the backward client that wraps it,
        counts once.

        Raises:
            InputTypeError: A client has no ``get_usage()``.
        """
        outer, watched = self._clients, _distinct(clients)
        known = {id(client) for client in outer}
        self._watch([*outer, *(c for c in watched if id(c) not in known)])
        try:
            yield
        finally:
            self._watch(outer)

    def _watch(self, clients: list[Any]) -> None:
        total = self.cost()
        self._clients = clients
        self.reset(total)

    def reset(self, total: float) -> None:
        """Go on counting from ``total`` US dollars."""
        self._total = total
        self._seen = [_cost(client) for client in self._clients]

    def cost(self) -> float:
        """Return US dollars so far."""
        for number, client in enumerate(self._clients):
            now, before = _cost(client), self._seen[number]
            self._total += now - before if now >= before else now
            self._seen[number] = now
        return round(self._total, _DIGITS)


def _distinct(clients: Iterable[Any]) -> list[Any]:
    if not isinstance(clients, Iterable):
        raise InputTypeError(
            f"llm_clients must be a list of clients, got {describe(clients)}."
        )
    unique: dict[int, Any] = {}
    for client in clients:
        if not callable(getattr(client, "get_usage", None)):
            raise InputTypeError(
                f"llm_clients holds {describe(client)}, which has no get_usage()."
            )
        bare = client.client if isinstance(client, BackwardModelClient) else client
        unique[id(bare)] = bare
    return list(unique.values())


def _cost(client: Any) -> float:
    return float((client.get_usage().get("cost") or {}).get("amount") or 0.0)
