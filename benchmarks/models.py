"""What a model call costs: ``python -m benchmarks.models``.

CPU per call against a server that answers at once, beside the bare OpenAI SDK in the
same run; cache hits; the first reply of a new process; a step under rate limits.
``--faults`` shows what comes of each fault of a server instead.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai

import afnio
from afnio import Variable
from afnio._dispatch import gather, run_sync
from afnio.cognitive.functional import chat_completion
from afnio.models import Limits, ReplyCache, use_cache
from afnio.models.openai import OpenAI
from afnio.models.testing import ScriptedModel
from benchmarks._faults import show_faults
from benchmarks._loopback import fresh, running
from benchmarks._report import Row, cpu_seconds, seconds, show

CALLS = 600
WORKERS = 32
ROUNDS = 7
PHASES = (32, 32, 32, 1)
"""Calls of a training step: forward, judge, critic, optimizer."""

Messages = list[dict[str, Any]]


def messages(number: int) -> Messages:
    return [
        {"role": "system", "content": "Answer the question in one sentence."},
        {"role": "user", "content": f"What is the answer to question {number}?"},
    ]


def threads(url: str, numbers: range) -> None:
    """Ask with the bare SDK in threads."""
    with (
        openai.OpenAI(api_key="k", base_url=url) as client,
        ThreadPoolExecutor(WORKERS) as pool,
    ):

        def ask(number: int) -> str | None:
            reply = client.chat.completions.create(
                model="gpt-4o", messages=messages(number), temperature=0
            )
            return reply.choices[0].message.content

        assert all(pool.map(ask, numbers))


def tasks(url: str, numbers: range) -> None:
    """Ask with the bare asynchronous SDK."""

    async def go() -> None:
        room = asyncio.Semaphore(WORKERS)
        async with openai.AsyncOpenAI(api_key="k", base_url=url) as client:

            async def ask(number: int) -> str | None:
                async with room:
                    reply = await client.chat.completions.create(
                        model="gpt-4o", messages=messages(number), temperature=0
                    )
                return reply.choices[0].message.content

            assert all(await asyncio.gather(*map(ask, numbers)))

    asyncio.run(go())


def _client(url: str, **settings: Any) -> OpenAI:
    limits = Limits(concurrency=WORKERS)
    return OpenAI(api_key="k", base_url=url, model="gpt-4o", limits=limits, **settings)


def calls(url: str, numbers: range) -> None:
    """Ask with afnio's client."""
    client = _client(url)

    async def go() -> None:
        replies = await gather(
            client.agenerate(messages(number), temperature=0) for number in numbers
        )
        assert all(reply.text for reply in replies)

    run_sync(go())
    client.close()


def operations(url: str, numbers: range) -> None:
    """Ask through the graph operation."""
    client = _client(url)
    system = Variable("Answer the question in one sentence.", "system prompt")
    turns = [
        {"role": "system", "content": [system]},
        {"role": "user", "content": [Variable("What is {q}?", "question")]},
    ]
    with afnio.no_grad():
        replies = [
            chat_completion(client, turns, inputs={"q": str(n)}, temperature=0)
            for n in numbers
        ]
        assert all(reply.data for reply in replies)
    client.close()


WAYS: dict[str, Callable[[str, range], None]] = {
    "bare OpenAI SDK, 32 threads": threads,
    "bare AsyncOpenAI, 32 tasks": tasks,
    "afnio OpenAI.agenerate": calls,
    "afnio F.chat_completion": operations,
}


def cost_rows(address: str) -> list[Row]:
    """Compare CPU per call, all ways in turn in each round."""
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS + 1):
        for name, way in WAYS.items():
            url = fresh(address)
            cpu = cpu_seconds(lambda way=way, url=url: way(url, range(CALLS)))
            spent[name].append(cpu / CALLS * 1e3)
    for values in spent.values():
        del values[0]  # the first round imports and warms up
    bare = spent["bare OpenAI SDK, 32 threads"]
    rows = [_row(f"{name}: CPU per call", "ms", "", spent[name]) for name in WAYS]
    for name in list(WAYS)[1:]:
        ratios = [one / base for one, base in zip(spent[name], bare, strict=True)]
        target = "<= 1.0, aim 0.6" if name.startswith("afnio") else ""
        rows.append(_row(f"{name} / threads", "x", target, ratios))
    return rows


def _row(what: str, unit: str, target: str, values: list[float]) -> Row:
    middle = statistics.median(values)
    return Row(what, middle, unit, min(values), max(values), target)


def cache_row(hits: int = 5_000) -> Row:
    """Count cache hits per second through the whole call path."""
    client = ScriptedModel("The answer is forty-two.")

    async def go() -> None:
        for number in range(hits):
            await client.agenerate(messages(number % 500), temperature=0)

    with tempfile.TemporaryDirectory() as folder:
        cache = ReplyCache(Path(folder) / "cache.sqlite")
        with use_cache(cache):
            run_sync(go())
            rates = [hits / cpu_seconds(lambda: run_sync(go())) for _ in range(ROUNDS)]
        cache.close()
    return _row("cache hits, per second of CPU time", "/s", ">= 20,000", rates)


_COLD = {
    "bare SDK": "import openai; c = openai.OpenAI(api_key='k', base_url={url!r}); "
    "c.chat.completions.create(model='gpt-4o', messages={messages!r})",
    "afnio": "from afnio.models.openai import OpenAI; "
    "c = OpenAI(api_key='k', base_url={url!r}, model='gpt-4o'); c.chat({messages!r})",
}


def cold_rows(address: str) -> list[Row]:
    """Time a process that starts, asks once and ends."""
    took: dict[str, list[float]] = {name: [] for name in _COLD}
    for _ in range(ROUNDS):
        for name, code in _COLD.items():
            filled = code.format(url=fresh(address), messages=messages(0))
            command = [sys.executable, "-c", filled]
            run = seconds(lambda command=command: subprocess.run(command, check=True))
            took[name].append(run)
    ratios = [a / b for a, b in zip(took["afnio"], took["bare SDK"], strict=True)]
    return [
        *(_row(f"first reply of a new process, {n}", "s", "", took[n]) for n in _COLD),
        _row("first reply: afnio / bare SDK", "x", "<= 1.5", ratios),
    ]


async def _step(ask: Callable[[int], Awaitable[Any]]) -> None:
    """Make the calls of one training step; each phase waits for the one before."""
    first = 0
    for size in PHASES:
        await asyncio.gather(*(ask(first + number) for number in range(size)))
        first += size


def bare_step(url: str) -> float:
    """Time a step with the bare asynchronous SDK and its own retries."""

    async def go() -> float:
        async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=5) as sdk:
            start = time.perf_counter()
            await _step(
                lambda number: sdk.chat.completions.create(
                    model="gpt-4o", messages=messages(number)
                )
            )
            return time.perf_counter() - start

    return asyncio.run(go())


def afnio_step(url: str) -> float:
    """Time a step with afnio's client."""
    client = OpenAI(api_key="k", base_url=url, model="gpt-4o")
    took = seconds(
        lambda: run_sync(_step(lambda number: client.agenerate(messages(number))))
    )
    assert client.get_usage_by_role()["forward"]["gpt-4o"]["calls"] == sum(PHASES)
    client.close()
    return took


def step_rows(address: str, rounds: int = 3) -> list[Row]:
    """Compare a step of 97 calls of 100 ms of which every tenth is refused."""
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(bare_step(fresh(address, "/slow-100/busy-10")))
        ours.append(afnio_step(fresh(address, "/slow-100/busy-10")))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    what = "97-call step, every tenth 429 with Retry-After: 1"
    return [
        _row(f"{what}, bare SDK", "s", "", bare),
        _row(f"{what}, afnio", "s", "", ours),
        _row(f"{what}, afnio / bare SDK", "x", "<= 1.2", ratios),
    ]


def main() -> None:
    with running() as address:
        rows = [
            *cost_rows(address),
            cache_row(),
            *cold_rows(address),
            *step_rows(address),
        ]
    show("afnio models", rows)


if __name__ == "__main__":
    if "--faults" in sys.argv:
        raise SystemExit(0 if show_faults() else 1)
    main()
