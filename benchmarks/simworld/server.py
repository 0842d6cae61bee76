"""The simulated models behind OpenAI's chat API, for everybody who speaks it.

``python -m benchmarks.simworld.server`` runs it on loopback, in a process of its own.
``PUT /NAME`` with ``{"preset", "seed", "budget"}`` makes a world; its models answer at
``/NAME/v1`` under the names ``sim-forward``, ``sim-critic`` and ``sim-rewriter``;
``GET /NAME`` tells the calls so far. Past the budget every call is refused.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from benchmarks import _http
from benchmarks._http import completion
from benchmarks.simworld.models import ROLES, Models
from benchmarks.simworld.presets import Physics
from benchmarks.simworld.world import World

__all__ = ["Service", "completion", "running"]

_SPENT: Final = {"error": {"message": "the budget is spent", "type": "budget"}}
_UNKNOWN: Final = {"error": {"message": "no such world or model", "type": "unknown"}}


@dataclass(slots=True)
class _Run:
    models: Models
    budget: int

    @property
    def spent(self) -> int:
        return self.models.calls.total()


class Service:
    """Answers requests about worlds.

    Attributes:
        runs: The worlds, by name.
    """

    def __init__(self) -> None:
        self.runs: dict[str, _Run] = {}

    def handle(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of an answer."""
        name, _, rest = path.strip("/").partition("/")
        if method == "PUT":
            return 200, self._make(name, json.loads(body))
        run = self.runs.get(name)
        if run is None:
            return 404, _UNKNOWN
        if method == "GET":
            return 200, {"calls": dict(run.models.calls), "spent": run.spent}
        del rest
        return self._answer(run, json.loads(body))

    def _make(self, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
        physics = Physics(**wanted["physics"])
        world = World(wanted["seed"], physics)
        self.runs[name] = _Run(Models(world), wanted["budget"])
        return {"calls": {}, "spent": 0}

    def _answer(self, run: _Run, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        role = str(request["model"]).rpartition("sim-")[2]
        if role not in ROLES:
            return 404, _UNKNOWN
        if run.spent >= run.budget:
            return 400, _SPENT
        text = run.models.answer(role, request["messages"], request)
        return 200, completion(str(request["model"]), text)


def running() -> AbstractContextManager[str]:
    """Run the server in a process of its own; yields its address."""
    return _http.running("benchmarks.simworld.server")


def _handler() -> _http.Handle:
    service = Service()

    def handle(method: str, path: str, body: bytes) -> _http.Answer:
        status, content = service.handle(method, path, body)
        said = f"{status} {'OK' if status == HTTPStatus.OK else 'Refused'}"
        return _http.Answer(_http.response(content, said))

    return handle


if __name__ == "__main__":
    _http.serve(_handler())
