"""The world as a peer sees it: items, a server that answers, and what it found."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from benchmarks.simworld import Item, Physics, World, score

Trail = list[tuple[int, list[str]]]


class SpentError(Exception):
    """The budget is spent."""


class Server:
    """The world on loopback: makes it, asks its models, counts the calls.

    Attributes:
        world: The items, the seed prompts and the metric.
        trail: Calls, and what would be returned then.
    """

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.world = World(wanted["seed"], Physics(**wanted["physics"]))
        self.budget: int = wanted["budget"]
        self.trail: Trail = []
        self._path = f"/{wanted['peer'].replace(' ', '-')}-{wanted['seed']}"
        address = urlsplit(wanted["address"])
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port)
        self._send("PUT", "", wanted)

    def _send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        self._connection.request(
            method, self._path + path, json.dumps(body).encode(), {}
        )
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def ask(self, role: str, messages: Sequence[Any], **args: Any) -> str:
        """Return a model's answer.

        Raises:
            SpentError: The budget is spent.
        """
        body = {"model": f"sim-{role}", "messages": list(messages), **args}
        status, answer = self._send("POST", "/v1/chat/completions", body)
        if status != 200:
            raise SpentError(answer["error"]["message"])
        return str(answer["choices"][0]["message"]["content"])

    def say(self, role: str, prompt: str) -> str:
        """Return a model's answer to a single message."""
        return self.ask(role, [{"role": "user", "content": prompt}])

    def calls(self) -> dict[str, int]:
        """Return the calls so far, by role."""
        return dict(self._send("GET", "")[1]["calls"])

    @property
    def spent(self) -> int:
        """The calls so far."""
        return sum(self.calls().values())

    def note(self, prompts: Sequence[str]) -> None:
        """Record what would be returned now."""
        if not self.trail or self.trail[-1][1] != list(prompts):
            self.trail.append((self.spent, list(prompts)))

    def answer(self, prompts: Sequence[str], item: Item) -> str:
        """Run the program: one call per module."""
        said = ""
        for desk, prompt in zip(self.world.desks, prompts, strict=True):
            user = asked(desk, item.request, said)
            messages = [
                {"role": "system", "content": prompt},
                {"role": "user", "content": user},
            ]
            said = self.ask("forward", messages)
        return said


def asked(desk: str | None, request: str, notes: str) -> str:
    """Return what a module is asked."""
    start = f"{desk.capitalize()} desk. " if desk else ""
    return f"{start}{request}" + (f"\nNotes: {notes}" if notes else "")


def feedback(answer: str, item: Item) -> str:
    """Return what an optimizer that reads feedback is told about an answer."""
    verdict = "Right." if score(answer, item.reference) else "Wrong."
    return f"{verdict} Expected: {item.reference}"


def stopper(server: Server, names: Sequence[str]) -> Callable[[Any], bool]:
    """Return a stopper that also notes what would be returned."""

    def stop(state: Any) -> bool:
        scores = [
            sum(each.values()) / max(1, len(each))
            for each in state.prog_candidate_val_subscores
        ]
        best = max(range(len(scores)), key=scores.__getitem__)
        candidate = state.program_candidates[best]
        server.note([candidate[name] for name in names])
        return server.spent >= server.budget

    return stop
