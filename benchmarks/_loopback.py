"""A server with OpenAI's chat API on loopback: ``python -m benchmarks._loopback``.

It answers at once, always the same, in a process of its own. The path says what else
happens: ``/slow-100/v1`` answers after 100 ms, ``/busy-10/v1`` answers every tenth
request with 429 and ``Retry-After: 1``; ``/slow-100/busy-10/v1`` does both.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

BODY: Final = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-2024-11-20",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "The answer is forty-two.",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 8,
            "total_tokens": 28,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }
).encode()
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_SETTING: Final = re.compile(rb"/(slow|busy)-(\d+)")


def _response(status: str, body: bytes, *headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        "content-type: application/json",
        "x-request-id: req-1",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


_OK: Final = _response("200 OK", BODY)
_BUSY: Final = _response(
    "429 Too Many Requests", b'{"error":{"message":"slow down"}}', "retry-after: 1"
)


class _Connection(asyncio.Protocol):
    """Answers requests one by one, on connections that stay open."""

    requests: Final[Counter[bytes]] = Counter()

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if not end or len(body) < (int(found[1]) if found else 0):
            return
        self._received = b""
        path = head.split(b" ", 2)[1]
        settings = {name: int(value) for name, value in _SETTING.findall(path)}
        self.requests[path] += 1
        every = settings.get(b"busy", 0)
        refuse = every and self.requests[path] % every == 0
        self._answer(_BUSY if refuse else _OK, settings.get(b"slow", 0) / 1000)

    def _answer(self, response: bytes, after_s: float) -> None:
        assert self._transport is not None
        if after_s:
            loop = asyncio.get_running_loop()
            loop.call_later(after_s, self._transport.write, response)
        else:
            self._transport.write(response)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


_names: Final = count(1)


@contextmanager
def running() -> Iterator[str]:
    """Run the server in a process of its own; yields its address."""
    command = [sys.executable, "-m", "benchmarks._loopback"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


def fresh(address: str, settings: str = "") -> str:
    """Return a base URL that nobody has asked yet, so counting starts at one."""
    return f"{address}/{next(_names)}{settings}/v1"


if __name__ == "__main__":
    asyncio.run(_serve())
