"""What the servers on loopback share: a small HTTP server, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Answer(NamedTuple):
    """What to send back, and when."""

    response: bytes
    after_s: float = 0.0


Handle = Callable[[str, str, bytes], Answer]
"""Method, path and body of a request → its answer."""


def response(content: bytes | dict[str, Any], status: str, *headers: str) -> bytes:
    """Return a response, written out."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = (
        f"HTTP/1.1 {status}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


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

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
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
        sent, after_s = self._handle(method, path, body)
        if after_s:
            asyncio.get_running_loop().call_later(after_s, self._transport.write, sent)
        else:
            self._transport.write(sent)


async def _serve(handle: Handle) -> None:
    server = await asyncio.get_running_loop().create_server(
        partial(_Connection, handle), "127.0.0.1", 0, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def serve(handle: Handle) -> None:
    """Answer requests as long as standard input is open; prints the port.

    The pipe closes with the process at its other end, however that may end.
    """
    threading.Thread(target=_leave_at_the_end_of_input, daemon=True).start()
    asyncio.run(_serve(handle))


def _leave_at_the_end_of_input() -> None:
    sys.stdin.read()
    os._exit(0)


@contextmanager
def running(module: str) -> Iterator[str]:
    """Run a module that serves, in a process of its own; yields its address."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()
