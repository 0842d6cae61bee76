"""Progress on standard error: bars on a terminal, plain lines everywhere else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from afnio.tracking._summary_text import mean_words
from afnio.trainer._displays import Display, Shown, display_for
from afnio.trainer.callbacks import Callback

if TYPE_CHECKING:
    from rich.console import Console

    from afnio.cognitive.modules.module import Module
    from afnio.trainer.trainer import Trainer

_TITLES: Final = {
    "train": "[Training]",
    "validation": "[Validation]",
    "test": "[Test]",
    "predict": "[Prediction]",
}
_PREFIXES: Final = {"train": "train_", "validation": "val_"}
_COST: Final = "total_cost($)"
_PULSE_S: Final = 0.25
"""Seconds between two looks at the model calls."""


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_summary(agent: Module) -> None:
    """Show the agent's parts and parameters on standard error."""
    params = list(agent.parameters())
    trained = sum(bool(param.requires_grad) for param in params)
    noun = "parameter" if len(params) == 1 else "parameters"
    text = f"{agent}\n{len(params)} {noun}, {trained} to be trained"
    _console().print(text, markup=False, highlight=False, soft_wrap=True)


@dataclass(slots=True)
class _Phase:
    """A pass over batches that is being shown."""

    name: str
    total: int | None
    began: float
    calls: int
    """Model calls before it."""
    done: int = 0
    skipped: int = 0
    """Batches that a resumed epoch had done before; they took no time here."""
    pace_s: float = 0.0
    activity: str = ""


class ProgressBar(Callback):
    """Show how far training, validation and tests are, with metrics, calls and cost.

    A terminal gets a bar that moves with every model call; elsewhere a line says now
    and then how many calls there were, also while one step takes long.

    Args:
        every_s: Seconds between two lines where there is no terminal; 0 gives a line
            for every batch and no others.
        console: A rich console; by default standard error.
        clock: Tells seconds; injected by tests.
    """

    def __init__(
        self,
        every_s: float = 10.0,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s = every_s
        self._console = console
        self._clock = clock
        self._display: Display | None = None
        self._depth = 0
        self._phases: list[_Phase] = []
        self._pulse: asyncio.Task[None] | None = None

    # Hooks are coroutines: they run on afnio's loop, never two at once.

    async def setup(self, trainer: Trainer, agent: Module, stage: str) -> None:
        """Choose bars or lines."""
        del agent, stage
        self._depth += 1
        if self._depth > 1:  # a test from within a fit
            return
        console = self._console or _console()
        self._display = display_for(console, self._every_s, self._clock)
        self._phases = []
        self._pulse = asyncio.ensure_future(self._beat(trainer))

    async def teardown(self, trainer: Trainer, agent: Module, stage: str) -> None:
        """Leave the terminal as it was."""
        del agent
        self._depth -= 1
        if self._display is None or self._depth:
            return
        if self._pulse is not None:
            self._pulse.cancel()
        if stage == "fit" and trainer.stop_reason:
            self._display.say(f"Stopped: {trainer.stop_reason}")
        self._display.close()
        self._display, self._phases = None, []

    async def _beat(self, trainer: Trainer) -> None:
        while True:
            await asyncio.sleep(_PULSE_S)
            if self._every_s:
                self._update(trainer)

    async def on_train_epoch_start(self, trainer: Trainer, agent: Module) -> None:
        """Begin an epoch."""
        del agent
        self._say(f"Epoch {trainer.current_epoch}/{trainer.max_epochs}")
        self._begin(trainer, "train")

    async def on_train_batch_start(
        self, trainer: Trainer, agent: Module, batch: Any, number: int
    ) -> None:
        """Say that the program runs."""
        del trainer, agent, batch, number
        self._doing("forward")

    async def on_before_backward(
        self, trainer: Trainer, agent: Module, loss: Any
    ) -> None:
        """Say that feedback goes back."""
        del trainer, agent, loss
        self._doing("backward")

    async def on_before_optimizer_step(
        self, trainer: Trainer, agent: Module, optimizer: Any
    ) -> None:
        """Say which optimizer steps."""
        del trainer, agent
        self._doing(f"{type(optimizer).__name__} step")

    async def on_train_batch_end(
        self, trainer: Trainer, agent: Module, outputs: Any, batch: Any, number: int
    ) -> None:
        """Move on."""
        del agent, outputs, batch
        self._advance(trainer, number + 1)

    on_validation_batch_end = on_train_batch_end
    on_test_batch_end = on_train_batch_end
    on_predict_batch_end = on_train_batch_end

    async def on_train_epoch_end(self, trainer: Trainer, agent: Module) -> None:
        """End the epoch's training, unless its validation has."""
        del agent
        if self._phases:
            self._end(trainer)

    async def on_validation_start(self, trainer: Trainer, agent: Module) -> None:
        """Begin a validation; in a fit it ends the training before it."""
        del agent
        if self._phases:
            self._end(trainer)
        self._begin(trainer, "validation")

    async def on_test_start(self, trainer: Trainer, agent: Module) -> None:
        """Begin a test; what it interrupts goes on afterwards."""
        del agent
        self._begin(trainer, "test")

    async def on_predict_start(self, trainer: Trainer, agent: Module) -> None:
        """Begin a prediction; what it interrupts goes on afterwards."""
        del agent
        self._begin(trainer, "predict")

    async def on_validation_end(self, trainer: Trainer, agent: Module) -> None:
        """End a phase."""
        del agent
        self._end(trainer)

    on_test_end = on_validation_end
    on_predict_end = on_validation_end

    # -- phases ---------------------------------------------------------------------

    def _begin(self, trainer: Trainer, name: str) -> None:
        total, calls = trainer.totals.get(name), trainer.spend.calls()
        self._phases.append(_Phase(name, total, self._clock(), calls))
        if self._display is not None:
            self._display.begin(self._shown(trainer))

    def _doing(self, activity: str) -> None:
        if self._phases:
            self._phases[-1].activity = activity

    def _advance(self, trainer: Trainer, done: int) -> None:
        if not self._phases:
            return
        phase = self._phases[-1]
        if not phase.done:
            phase.skipped = done - 1
        phase.done, phase.activity = done, ""
        phase.pace_s = (self._clock() - phase.began) / (done - phase.skipped)
        self._update(trainer)

    def _update(self, trainer: Trainer) -> None:
        if self._display is not None and self._phases:
            self._display.update(self._shown(trainer))

    def _end(self, trainer: Trainer) -> None:
        """End a phase; of one that a resumed fit had done before, nothing is said."""
        if self._display is not None and self._phases[-1].done:
            self._display.end(self._shown(trainer))
        self._phases.pop()
        if self._display is not None and self._phases:
            self._display.begin(self._shown(trainer))

    def _say(self, text: str) -> None:
        if self._display is not None:
            self._display.say(text)

    def _shown(self, trainer: Trainer) -> Shown:
        phase = self._phases[-1]
        return Shown(
            title=_TITLES[phase.name],
            done=phase.done,
            total=phase.total,
            results=_results(trainer, phase) if phase.done else "",
            activity=_activity(trainer, phase),
            seconds=self._clock() - phase.began,
        )


def _results(trainer: Trainer, phase: _Phase) -> str:
    prefix = _PREFIXES.get(phase.name, f"{phase.name}_")
    mean = trainer.mean_scores.get(phase.name)
    metrics = " - ".join(
        f"{name}: {value:.4g}"
        + (mean_words(value, mean) if name == f"{prefix}loss" else "")
        for name, value in trainer.logged_metrics.items()
        if name.startswith(prefix) and name != _COST
    )
    cost = f"tot_cost: ${trainer.total_cost:.4f}"
    return f"{phase.pace_s:.2f}s/step {cost} {metrics}".rstrip()


def _activity(trainer: Trainer, phase: _Phase) -> str:
    """Tell what goes on now: the part of the step, and its model calls."""
    calls, flying = trainer.spend.calls() - phase.calls, trainer.spend.in_flight()
    words = [phase.activity] if phase.activity else []
    if calls or flying:
        words.append(f"{calls} call{'s' * (calls != 1)}")
    if flying:
        words.append(f"{flying} in flight")
    return f"({', '.join(words)})" if words else ""
