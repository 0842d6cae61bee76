"""What the core costs: ``python -m benchmarks.core``.

Wall clock over critical path, with a scripted model and through HTTP beside the bare
SDK and the peers that are installed; cost and memory per node; pending calls; import
time. Figures are ratios, or CPU time beyond what the operation itself does.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import tracemalloc
from importlib.util import find_spec

import afnio
from afnio import Variable
from afnio.autodiff import backward
from afnio.autodiff.basic_ops import Add, Sum
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.models.testing import ScriptedModel, feedback, in_tags
from afnio.optim import TGD
from benchmarks import _peers, _steps, _world
from benchmarks._report import Row, cpu_seconds, measure, seconds, show

SAMPLES = 32
LATENCY_S = 0.1


def training_step() -> float:
    """Return wall clock over critical path of forward, critic and update."""
    model = ScriptedModel(lambda m, **_: m[-1]["content"].upper(), latency_s=LATENCY_S)
    critic = ScriptedModel(feedback("Be exact."), latency_s=LATENCY_S)
    editor = ScriptedModel(in_tags("Answer exactly."), latency_s=LATENCY_S)
    prompt = Variable("Answer.", "system prompt", requires_grad=True)
    turns = [
        {"role": "system", "content": [prompt]},
        {"role": "user", "content": [Variable("{x}", "question")]},
    ]
    optimizer = TGD([prompt], model_client=editor)

    def step() -> None:
        losses = []
        for number in range(SAMPLES):
            reply = ChatCompletion.apply(model, turns, inputs={"x": f"item {number}"})
            losses.append(ExactMatchEvaluator.apply(reply, "?")[1])
        with afnio.set_backward_model_client(critic):
            backward(losses)
        optimizer.step()

    return seconds(step) / (3 * LATENCY_S)


def chain_cost(nodes: int) -> float:
    """Return microseconds per node, forward plus backward, of a chain of additions."""

    def run() -> None:
        total, one = Variable(1, "n", requires_grad=True), Variable(1, "one")
        for _ in range(nodes):
            total = Add.apply(total, one)
        total.backward(Variable("g"))

    gc.collect()
    return (cpu_seconds(run) - _plain_additions(nodes)) / nodes * 1e6


def _plain_additions(nodes: int) -> float:
    def run() -> None:
        total = 1
        for _ in range(nodes):
            total = total + 1

    return cpu_seconds(run)


def fan_cost(nodes: int) -> float:
    """Return microseconds per node of ``nodes`` additions of one leaf, then a sum."""

    def run() -> None:
        leaf, one = Variable(1, "n", requires_grad=True), Variable(1, "one")
        Sum.apply([Add.apply(leaf, one) for _ in range(nodes)]).backward(Variable("g"))

    gc.collect()
    return cpu_seconds(run) / nodes * 1e6


def node_memory(nodes: int = 20_000) -> float:
    """Return bytes per live node of a chain."""
    leaf, one = Variable(1, "n", requires_grad=True), Variable(1, "one")
    gc.collect()
    tracemalloc.start()
    total = leaf
    for _ in range(nodes):
        total = Add.apply(total, one)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / nodes


def pending_calls(calls: int = 10_000) -> float:
    """Return milliseconds of CPU per pending chat call at zero latency."""
    model = ScriptedModel("ok")
    turns = [{"role": "user", "content": [Variable("{x}", "question")]}]

    def run() -> None:
        with afnio.no_grad():
            replies = [
                ChatCompletion.apply(model, turns, inputs={"x": str(number)})
                for number in range(calls)
            ]
            assert all(reply.data == "ok" for reply in replies)

    return cpu_seconds(run) / calls * 1e3


def import_time() -> float:
    """Return seconds that ``import afnio`` takes beyond bare Python."""

    def start(code: str) -> float:
        command = [sys.executable, "-c", code]
        return seconds(lambda: subprocess.run(command, check=True))

    return start("import afnio") - start("pass")


def rows() -> list[Row]:
    """Measure everything."""
    return [
        measure(
            f"training step, {SAMPLES} samples at {LATENCY_S * 1e3:.0f} ms: wall clock "
            "over critical path",
            "x",
            "<= 1.15",
            training_step,
        ),
        *(
            measure(
                f"chain of {nodes:,}: forward + backward per node",
                "us",
                "<= 20",
                lambda nodes=nodes: chain_cost(nodes),
                repeat=3,
            )
            for nodes in (1_000, 10_000, 100_000)
        ),
        measure(
            "fan of 100,000: forward + backward per node",
            "us",
            "works",
            lambda: fan_cost(100_000),
            repeat=3,
        ),
        measure("memory per live node", "bytes", "<= 2048", node_memory, repeat=3),
        measure(
            "10,000 pending chat calls: CPU per call",
            "ms",
            "<= 0.3",
            pending_calls,
            repeat=3,
        ),
        measure("import afnio beyond bare Python", "s", "<= 0.1", import_time),
    ]


def http_rows() -> list[Row]:
    """Make a training step through the official SDK and a server on loopback."""
    what = f"training step, {SAMPLES} samples at 100 ms through HTTP"
    ways = [_steps.with_afnio, _steps.with_threads]
    if find_spec("aiohttp") is not None:
        ways.append(_steps.with_aiohttp)
    with _world.running() as url:
        took: list[list[float]] = [[] for _ in ways]
        for _ in range(3):  # in turn, so that all meet the same load
            for values, way in zip(took, ways, strict=True):
                values.extend(way(url, 3))
        ours, bare, *rest = took
        ratios = [a / b for a, b in zip(ours, bare, strict=True)]
        aio = rest[0] if rest else []
        return [
            _row(f"{what}: wall clock over critical path", ours, "<= 1.2"),
            _row("the same through the SDK's client on aiohttp", aio, "<= 1.2"),
            _row("the same calls with the bare SDK in 32 threads", bare, ""),
            _row("afnio / bare SDK", ratios, "<= 1.0"),
            *_peers.rows(url),
        ]


def _row(what: str, values: list[float], target: str) -> Row:
    if not values:
        return Row(what, 0, "", 0, 0, "not installed")
    middle = statistics.median(values)
    return Row(what, middle, "x", min(values), max(values), target)


if __name__ == "__main__":
    through_http = http_rows()  # first: a heap that other rows filled slows it down
    show("afnio core", [*rows(), *through_http])
