"""The simulated models behind OpenAI's chat API, for everybody who speaks it.

``python -m benchmarks.simworld.server`` runs it on loopback, in a process of its own.
``PUT /NAME`` with ``{"preset", "seed", "budget"}`` makes a world; its models answer at
``/NAME/v1`` under the names ``sim-forward``, ``sim-critic`` and ``sim-rewriter``;
``GET /NAME`` tells the calls so far. Past the budget every call is refused.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.simworld.models import ROLES, Models
from benchmarks.simworld.presets import Physics
from benchmarks.simworld.world import World

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
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


def completion(model: str, text: str) -> dict[str, Any]:
    """Return a chat completion that says ``text``."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28},
    }


class _Connection(asyncio.Protocol):
    """Answers requests one by one, on connections that stay open."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if not end or len(body) < (int(found[1]) if found else 0):
            return
        self._received = b""
        method, path, _ = head.decode("latin-1").split(" ", 2)
        status, content = self._service.handle(method, path, body)
        sent = json.dumps(content).encode()
        lines = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}",
            "content-type: application/json",
            f"content-length: {len(sent)}",
        )
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + sent)


async def _serve() -> None:
    loop, service = asyncio.get_running_loop(), Service()
    server = await loop.create_server(
        lambda: _Connection(service), "127.0.0.1", 0, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """Run the server in a process of its own; yields its address."""
    command = [sys.executable, "-m", "benchmarks.simworld.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


if __name__ == "__main__":
    asyncio.run(_serve())
