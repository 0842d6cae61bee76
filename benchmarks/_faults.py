"""What each fault of a server gives: the official SDK against one that misbehaves.

``python -m benchmarks.models --faults`` prints the table; the tests hold it. Faults are
committed on the level of bytes, on loopback. One that happens once must be cured by
another attempt, counted once; one that lasts must end in an error that names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from itertools import count
from typing import Any

from rich.console import Console
from rich.table import Table

from afnio._dispatch import run_sync
from afnio.errors import AfnioError
from afnio.models import Limits, RetryPolicy
from afnio.models.anthropic import Anthropic
from afnio.models.openai import OpenAI

RESET = struct.pack("ii", 1, 0)
Fault = Callable[[asyncio.StreamWriter], Awaitable[Any]]


def completion(
    text: str | None = "Hello", finish: str = "stop", **message: Any
) -> dict[str, Any]:
    """Build the body of a reply."""
    said = {"role": "assistant", "content": text, **message}
    return {
        "id": "c1",
        "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28},
    }


def message(text: str) -> dict[str, Any]:
    """Build the body of a reply of Anthropic's API."""
    return {
        "id": "m1",
        "type": "message",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 20, "output_tokens": 8},
    }


def response(
    body: Any,
    status: int = 200,
    *headers: str,
    kind: str = "application/json",
    length: int | None = None,
) -> bytes:
    """Build the bytes of a response."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} Said",
        f"content-type: {kind}",
        f"content-length: {len(data) if length is None else length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def say(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send ``data``."""
    writer.write(data)
    await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Hang up as a crashing server does."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Send a good reply so slowly that it never ends."""
    writer.write(response(b"{", length=100_000))
    for _ in range(600):
        await say(writer, b" ")
        await asyncio.sleep(0.01)


async def twice(writer: asyncio.StreamWriter) -> None:
    """Deliver a reply two times."""
    await say(writer, response(completion()) + response(completion("stale")))


def saying(*args: Any, **how: Any) -> Fault:
    """Return a fault that is one response."""
    data = response(*args, **how)

    async def fault(writer: asyncio.StreamWriter) -> None:
        await say(writer, data)

    return fault


FAULTS: dict[str, Fault] = {
    "429": saying({}, 429),
    "429, Retry-After": saying({}, 429, "retry-after: 0.05"),
    "429, Retry-After too long": saying({}, 429, "retry-after: 9999"),
    "429, out of money": saying({"error": {"code": "insufficient_quota"}}, 429),
    "500": saying({}, 500),
    "502": saying(b"<html>bad gateway</html>", 502, kind="text/html"),
    "529": saying({}, 529),
    "reset": reset,
    "hang": lambda _writer: asyncio.sleep(30),
    "slow body": trickle,
    "body cut off": saying(b"{", 200, length=500),
    "truncated JSON": saying(b'{"choices": [{"mess'),
    "wrong content type": saying(b"<html>login</html>", kind="text/html"),
    "no choices": saying({**completion(), "choices": []}),
    "null content": saying(completion(None)),
    "refusal": saying(completion(None, refusal="I will not.")),
    "unknown stop reason": saying(completion("Hello", "tired")),
    "delivered twice": twice,
}
ENDLESS = ("hang", "slow body")
OPENAI_ONLY = (
    "no choices",
    "null content",
    "refusal",
    "unknown stop reason",
    "delivered twice",
)
"""Faults whose bytes are in OpenAI's words."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a fault gives, and after how many attempts."""

    fault: str
    once: str
    """The result when it happens once."""
    first: int
    lasting: str
    """The result when it happens every time."""
    last: int

    def __str__(self) -> str:
        return (
            f"{self.fault} - once - {self.once} ({self.first}) - "
            f"lasting - {self.lasting} ({self.last})"
        )


TABLE = [
    Row("429", "Hello", 2, "RateLimitError", 12),
    Row("429, Retry-After", "Hello", 2, "RateLimitError", 12),
    Row("429, Retry-After too long", "RateLimitError", 1, "RateLimitError", 1),
    Row("429, out of money", "RateLimitError", 1, "RateLimitError", 1),
    Row("500", "Hello", 2, "ServerError", 6),
    Row("502", "Hello", 2, "ServerError", 6),
    Row("529", "Hello", 2, "ServerError", 12),
    Row("reset", "Hello", 2, "ConnectionFailedError", 6),
    Row("hang", "Hello", 2, "ModelTimeoutError", 6),
    Row("slow body", "Hello", 2, "ModelTimeoutError", 6),
    Row("body cut off", "Hello", 2, "ConnectionFailedError", 6),
    Row("truncated JSON", "Hello", 2, "ServerError", 6),
    Row("wrong content type", "Hello", 2, "ServerError", 6),
    Row("no choices", "Hello", 2, "ServerError", 6),
    Row("null content", "Hello", 2, "ServerError", 6),
    Row("refusal", "None, refusal", 1, "None, refusal", 1),
    Row("unknown stop reason", "Hello, tired", 1, "Hello, tired", 1),
    Row("delivered twice", "Hello", 1, "Hello", 1),
]


class Server:
    """A server on loopback, on a thread and loop of its own.

    Attributes:
        faults: Asked with the number of each request, from 1; returns the name of the
            fault to commit, or None.
        seen: How often each question has arrived.
    """

    def __init__(self) -> None:
        self.faults: Callable[[int], str | None] = lambda _number: None
        self.seen: Counter[str] = Counter()
        self._writers: set[asyncio.StreamWriter] = set()
        self._hanging: set[asyncio.Future[Any]] = set()
        self.start_counting()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._port = 0
        self.start()

    def start_counting(self) -> None:
        """Call the next request number 1."""
        self._numbers = count(1)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._writers.clear()
        self._hanging.clear()

        async def listen() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", self._port)

        self._server = self._run(listen())
        self._port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Hang up on everybody, and listen no more."""

        async def hang_up() -> None:
            self._server.close()
            here = asyncio.current_task()
            while others := asyncio.all_tasks() - {here}:
                for writer in self._writers:  # one may have come just before
                    writer.transport.abort()
                for task in self._hanging:
                    task.cancel()
                await asyncio.wait(others, timeout=0.05)

        self._run(hang_up())

    def close(self) -> None:
        """End the thread."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length:")[1].split(b"\r")[0])
                question = json.loads(await reader.readexactly(size))
                make = message if b" /v1/messages" in head else completion
                await self._answer(question["messages"][-1]["content"], writer, make)
                if b"cut" in head:
                    break
        writer.close()

    async def _answer(
        self,
        text: str,
        writer: asyncio.StreamWriter,
        make: Callable[[str], dict[str, Any]],
    ) -> None:
        self.seen[text] += 1
        fault = self.faults(next(self._numbers))
        if fault is not None:
            task = asyncio.ensure_future(FAULTS[fault](writer))
            self._hanging.add(task)
            await asyncio.wait([task])
            if fault == "body cut off":
                writer.close()
            return
        await say(writer, response(make("Hello" if text == "Hi" else text)))


def make_client(
    server: Server, kind: type[OpenAI | Anthropic] = OpenAI
) -> OpenAI | Anthropic:
    """Make a client that waits little, as nobody is overloaded in truth."""
    client = kind(
        base_url=server.url if kind is OpenAI else server.url.removesuffix("/v1"),
        model="m",
        timeout=1.0,
        limits=Limits(concurrency=8),
        retry=RetryPolicy(base_s=0.002, cap_s=0.02, deadline_s=30),
    )
    client.set_price("m", input=1, output=1)
    return client


def outcome(client: OpenAI | Anthropic, fault: str) -> str:
    """Ask, and return in a few words what came of it."""
    timeout = 0.3 if fault in ENDLESS else 10.0
    messages = [{"role": "user", "content": "Hi"}]
    try:
        reply = run_sync(client.agenerate(messages, timeout=timeout))
    except AfnioError as error:
        return type(error).__name__
    odd = "" if reply.stop_reason == "end_turn" else f", {reply.stop_reason}"
    return f"{reply.text}{odd}"


def commit(server: Server, client: OpenAI | Anthropic, fault: str) -> Row:
    """Commit a fault once, then every time; return what came of it."""
    server.seen.clear()
    server.start_counting()
    server.faults = lambda number: fault if number == 1 else None
    once, first = outcome(client, fault), server.seen["Hi"]
    server.seen.clear()
    server.faults = lambda _number: fault
    return Row(fault, once, first, outcome(client, fault), server.seen["Hi"])


def show_faults() -> bool:
    """Commit every fault and print what came of it; return whether all is as stated."""
    table = Table("Fault", "Once", "Attempts", "Every time", "Attempts", "As stated")
    all_well = True
    for row in TABLE:
        server = Server()  # each its own, and so a limiter of its own
        client = make_client(server)
        found = commit(server, client, row.fault)
        client.close()
        server.close()
        cells = [found.once, found.first, found.lasting, found.last]
        table.add_row(row.fault, *map(str, cells), "yes" if found == row else "NO")
        all_well = all_well and found == row
    Console(width=100).print(table)
    return all_well


if __name__ == "__main__":
    raise SystemExit(0 if show_faults() else 1)
