"""What a Trainer adds to the calls it makes: ``python -m benchmarks.trainer``.

A fit of 200 steps, 50 ms per model call, with checkpoints and without in turns, so that
both see the same machine; the CPU time they add; and memory. Figures are ratios within
one run.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F  # noqa: N812 - the customary name
from afnio import Variable, tracking
from afnio.cognitive.parameter import Parameter
from afnio.models.testing import ScriptedModel, feedback, in_tags
from afnio.optim import TGD
from afnio.trainer import Callback, Trainer
from benchmarks._report import Row, cpu_seconds, show

STEPS = 200
LATENCY_S = 0.05
SAMPLES = 8
TURN = 10
"""Steps between two switches."""


class Program(cog.Module):
    """One prompt, one call per sample, and a rewrite at every step."""

    def __init__(self, latency_s: float) -> None:
        super().__init__()
        self.prompt = Parameter("Answer.", role="system prompt", requires_grad=True)
        turns = [
            {"role": "system", "content": [self.prompt]},
            {"role": "user", "content": [Variable("{x}", role="question")]},
        ]
        self.model = ScriptedModel(lambda m, **_: m[-1]["content"], latency_s=latency_s)
        self.chat = cog.ChatCompletion(self.model, turns)
        number = itertools.count()

        def rewrite(messages: Any, **args: Any) -> str:
            text = f"Answer number {next(number)}. {'Be exact. ' * 30}"
            return str(in_tags(text)(messages, **args))

        self.editor = ScriptedModel(rewrite, latency_s=latency_s)

    def training_step(self, batch: list[str], batch_idx: int) -> Any:
        """Nothing is ever right, so that every step calls all models."""
        del batch_idx
        answers = self.chat(inputs={"x": Variable(batch, role="question")})
        return F.exact_match_evaluator(answers, Variable(["?"] * len(batch)))

    def configure_optimizers(self) -> Any:
        """Return TGD with momentum, whose memory is part of a checkpoint."""
        return TGD(self.parameters(), model_client=self.editor, momentum=2)


class Clock(Callback):
    """Notes when each step ended, and the memory in use now and then.

    What the test doubles keep of their requests is dropped: it is not ours to pay.
    """

    def __init__(self, *, memory: bool = False, turns: int = 0) -> None:
        self.ends: list[float] = []
        self._turns = turns
        self.models: list[ScriptedModel] = []
        self.used: list[int] = []
        self._memory = memory

    def on_train_batch_end(self, trainer: Any, agent: Any, *_: Any) -> None:
        """Note a step."""
        del agent
        self.ends.append(time.perf_counter())
        if self._turns:
            trainer.checkpoints.enabled = self._is_saved(len(self.ends) - 1)
        for model in self.models:
            model.requests.clear()
        if self._memory and trainer.global_step % 50 == 0:
            gc.collect()
            self.used.append(tracemalloc.get_traced_memory()[0])

    def _is_saved(self, number: int) -> bool:
        """Whether a checkpoint is written after the step of that number, from 0."""
        return number // self._turns % 2 == 1

    def mean(self, *, saved: bool) -> float:
        """Return the mean time between two steps, the slowest tenth left out."""
        gaps = sorted(
            after - before
            for number, (before, after) in enumerate(pairwise(self.ends))
            if self._is_saved(number) == saved
        )
        return fmean(gaps[: len(gaps) * 9 // 10])


def fit(folder: Path, *, checkpoints: bool, clock: Clock, latency_s: float) -> float:
    """Return the seconds of one fit."""
    data = [[f"item {n}.{k}" for k in range(SAMPLES)] for n in range(STEPS)]
    trainer = Trainer(
        max_epochs=1,
        enable_checkpointing=checkpoints,
        enable_progress_bar=False,
        enable_agent_summary=False,
        default_root_dir=folder,
        callbacks=[clock],
    )
    critic = ScriptedModel(feedback("Be exact."), latency_s=latency_s)
    program = Program(latency_s)
    clock.models = [program.model, program.editor, critic]
    start = time.perf_counter()
    with afnio.set_backward_model_client(critic):
        trainer.fit(program, data)
    return time.perf_counter() - start


def overhead(repeat: int, *, run: bool) -> Row:
    """Return how much longer a step takes with checkpoints, in per cent.

    They are switched on and off every few steps of the same fit, so that both kinds of
    step see the same machine and the same history.
    """
    ratios = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            if run:
                stack.enter_context(environ("AFNIO_RUNS", folder))
                stack.enter_context(tracking.init("bench", "Trainer"))
            clock = Clock(turns=TURN)
            fit(Path(folder), checkpoints=True, clock=clock, latency_s=LATENCY_S)
        ratios.append((clock.mean(saved=True) / clock.mean(saved=False) - 1) * 100)
    ratios.sort()
    name = "checkpoints, in a run" if run else "checkpoints"
    return Row(
        f"{STEPS} steps at {LATENCY_S * 1e3:.0f} ms, {name}: time of a step beyond one "
        "without",
        ratios[len(ratios) // 2],
        "%",
        ratios[0],
        ratios[-1],
        "< 2",
    )


@contextmanager
def environ(name: str, value: str) -> Iterator[None]:
    """Set an environment variable inside the block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def cpu_bound(repeat: int) -> Row:
    """Return the CPU time that checkpoints add, as a share of the calls' time.

    It counts what the writing thread does while models are waited for, so that the time
    beyond none cannot be more; a busy machine hardly changes it.
    """
    shares = []
    for _ in range(repeat):
        used = []
        for checkpoints in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                options = {"checkpoints": checkpoints, "latency_s": 0.0}
                path = Path(folder)
                work = partial(fit, path, clock=Clock(), **options)
                used.append(cpu_seconds(work))
        shares.append((used[1] - used[0]) / (STEPS * 3 * LATENCY_S) * 100)
    shares.sort()
    return Row(
        "CPU time of checkpoints over the time of the calls (a bound, idle or not)",
        shares[len(shares) // 2],
        "%",
        shares[0],
        shares[-1],
        "< 5",
    )


def memory() -> Row:
    """Return how much memory grows per step in the second half of a fit."""
    clock = Clock(memory=True)
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as folder:
        fit(Path(folder), checkpoints=True, clock=clock, latency_s=0.0)
    tracemalloc.stop()
    half = len(clock.used) // 2
    grown = (clock.used[-1] - clock.used[half - 1]) / (50 * (len(clock.used) - half))
    whole = (clock.used[half - 1] - clock.used[0]) / (50 * (half - 1))
    return Row(
        "memory that stays per step, steps 101 to 200",
        grown / 1024,
        "KiB",
        min(grown, whole) / 1024,
        max(grown, whole) / 1024,
        "the records of the step (about 4)",
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="no latency")
    options = parser.parse_args()
    rows = [memory(), cpu_bound(options.repeat)]
    if not options.quick:
        rows += [overhead(options.repeat, run=run) for run in (False, True)]
    show("Trainer", rows)


if __name__ == "__main__":
    main()
