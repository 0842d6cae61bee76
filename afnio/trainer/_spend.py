"""What model clients have used since a Trainer started to look; nothing is cleared."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

from afnio._text import describe
from afnio.errors import InputTypeError, StateError
from afnio.models import get_backward_model_client
from afnio.models._roles import BackwardModelClient
from afnio.tracking.summary import RoleUsage

_DIGITS: Final = 10
"""Decimal places kept, so that sums do not depend on where a run was resumed."""

UNKNOWN: Final = "(unknown)"
"""The role of what clients use that do not tell roles apart."""

ByRole = dict[str, RoleUsage]


class Spend:
    """What model clients use, by role, read by difference. Safe from any thread.

    A counter that goes down was cleared by somebody; counting goes on from there.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._cost = 0.0
        self._usage: ByRole = {}
        self._clients: list[Any] = []
        self._seen: list[tuple[float, ByRole]] = []

    @contextmanager
    def watching(self, clients: Iterable[Any]) -> Iterator[None]:
        """Count what these clients use inside the block; an outer block goes on.

        A client that is given twice, also through the backward client that wraps it,
        counts once.

        Raises:
            InputTypeError: A client has no ``get_usage()``.
        """
        outer = self._clients
        self._watch(_joined(outer, _distinct(clients)))
        try:
            yield
        finally:
            self._watch(outer)

    def watch_also(self, clients: Iterable[Any]) -> None:
        """Count what further clients use until the block ends."""
        self._watch(_joined(self._clients, _distinct(clients)))

    def _watch(self, clients: list[Any]) -> None:
        with self._lock:
            self._read()
            self._clients = clients
            self._seen = [_snapshot(client) for client in clients]

    def cost(self) -> float:
        """Return US dollars so far."""
        with self._lock:
            self._read()
            return round(self._cost, _DIGITS)

    def usage(self) -> ByRole:
        """Return what was used so far, by role."""
        with self._lock:
            self._read()
            return dict(sorted(self._usage.items()))

    def calls(self) -> int:
        """Return how many model calls were answered so far, or have failed."""
        used = self.usage().values()
        return sum(use.calls + use.cached_calls + use.failed_calls for use in used)

    def in_flight(self) -> int:
        """Return how many model calls are under way, as far as clients tell."""
        return sum(
            document.get("running_calls") or 0
            for client in self._clients
            for used in _by_role(client).values()
            for document in used.values()
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far, as JSON data."""
        usage = {role: asdict(use) for role, use in self.usage().items()}
        return {"cost": self.cost(), "usage": usage}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting from what `state_dict` returned."""
        with self._lock:
            self._read()
            self._cost = float(state["cost"])
            self._usage = {k: RoleUsage(**use) for k, use in state["usage"].items()}

    def _read(self) -> None:
        for number, client in enumerate(self._clients):
            cost, usage = now = _snapshot(client)
            cost_before, usage_before = self._seen[number]
            self._cost += cost - cost_before if cost >= cost_before else cost
            for role, use in usage.items():
                more = _more(use, usage_before.get(role, RoleUsage()))
                self._usage[role] = self._usage.get(role, RoleUsage()) + more
            self._seen[number] = now


def clients_in(agent: Any) -> list[Any]:
    """Return the clients that a program uses: its own, and who writes its critiques."""
    try:
        backward = [get_backward_model_client()]
    except StateError:
        backward = []
    return [*agent.models(), *backward]


def _joined(outer: list[Any], more: list[Any]) -> list[Any]:
    known = {id(client) for client in outer}
    return [*outer, *(client for client in more if id(client) not in known)]


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


def _snapshot(client: Any) -> tuple[float, ByRole]:
    """Return a client's cost and usage by role, as they stand."""
    by_role = _by_role(client)
    usage = {role: _role_usage(used.values()) for role, used in by_role.items()}
    return _cost(client.get_usage()), usage


def _by_role(client: Any) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    by_role = getattr(client, "get_usage_by_role", None)
    if callable(by_role):
        found: Mapping[str, Mapping[str, Mapping[str, Any]]] = by_role()
        return found
    return {UNKNOWN: {"": client.get_usage()}}


def _role_usage(documents: Iterable[Mapping[str, Any]]) -> RoleUsage:
    return sum(map(_one_usage, documents), RoleUsage())


def _one_usage(document: Mapping[str, Any]) -> RoleUsage:
    return RoleUsage(
        calls=document.get("calls") or 0,
        cached_calls=document.get("cached_calls") or 0,
        failed_calls=document.get("failed_calls") or 0,
        input_tokens=document.get("prompt_tokens") or 0,
        output_tokens=document.get("completion_tokens") or 0,
        seconds=document.get("seconds") or 0.0,
        cost_usd=_cost(document),
    )


def _more(now: RoleUsage, before: RoleUsage) -> RoleUsage:
    more = now - before
    counts = (more.calls, more.cached_calls, more.input_tokens, more.output_tokens)
    return now if min(counts) < 0 else more


def _cost(document: Mapping[str, Any]) -> float:
    return float((document.get("cost") or {}).get("amount") or 0.0)
