"""Progress on standard error: bars on a terminal, plain lines everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

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
_COST: Final = "total_cost($)"


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_summary(agent: Module) -> None:
    """Show the agent's parts and parameters on standard error."""
    params = list(agent.parameters())
    trained = sum(bool(param.requires_grad) for param in params)
    text = f"{agent}\n{len(params)} parameters, {trained} to be trained"
    _console().print(text, markup=False, highlight=False)


class _Display(Protocol):
    """How progress through one phase is shown."""

    def begin(self, title: str, total: int | None) -> None: ...
    def advance(self, done: int, text: str) -> None: ...
    def end(self, text: str) -> None: ...
    def say(self, text: str) -> None: ...
    def close(self) -> None: ...


class _Lines:
    """A line now and then, for logs and notebooks."""

    def __init__(
        self, console: Console, every_s: float, clock: Callable[[], float]
    ) -> None:
        self._console = console
        self._every_s = every_s
        self._clock = clock
        self._next = 0.0

    def begin(self, title: str, total: int | None) -> None:
        """Wait a while before the first line."""
        del title, total
        self._next = self._clock() + self._every_s

    def advance(self, done: int, text: str) -> None:
        """Print the line, unless there was one a moment ago."""
        del done
        if self._clock() >= self._next:
            self.say(text)
            self._next = self._clock() + self._every_s

    def end(self, text: str) -> None:
        """Print the last line."""
        self.say(text)

    def say(self, text: str) -> None:
        """Print any text."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Leave nothing behind."""


class _Bars:
    """One live bar; phases that are over stay as lines above it."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.fields[title]}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task: Any = None
        self._progress.start()

    def begin(self, title: str, total: int | None) -> None:
        """Show a new bar."""
        self._task = self._progress.add_task("", total=total, title=title)

    def advance(self, done: int, text: str) -> None:
        """Move the bar."""
        title, _, rest = text.partition(" ")
        self._progress.update(self._task, completed=done, description=rest, title=title)

    def end(self, text: str) -> None:
        """Turn the bar into a line."""
        self._progress.remove_task(self._task)
        self.say(text)

    def say(self, text: str) -> None:
        """Print above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()


class ProgressBar(Callback):
    """Show how far training, validation and tests are, with metrics and cost.

    Args:
        every_s: Seconds between two lines where there is no terminal.
        console: A rich console; by default standard error.
        clock: Tells seconds; injected by tests.
    """

    def __init__(
        self,
        every_s: float = 5.0,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s = every_s
        self._console = console
        self._clock = clock
        self._display: _Display | None = None
        self._depth = 0
        self._phase = ""
        self._total: int | None = None
        self._done = 0
        self._first = 0
        self._began = 0.0

    def setup(self, trainer: Trainer, agent: Module, stage: str) -> None:
        """Choose bars or lines."""
        del trainer, agent, stage
        self._depth += 1
        if self._depth > 1:  # a test from within a fit
            return
        console = self._console or _console()
        live = console.is_terminal and not console.is_dumb_terminal
        if live and not console.is_jupyter:
            self._display = _Bars(console)
        else:
            self._display = _Lines(console, self._every_s, self._clock)

    def teardown(self, trainer: Trainer, agent: Module, stage: str) -> None:
        """Leave the terminal as it was."""
        del agent
        self._depth -= 1
        if self._display is None or self._depth:
            return
        if stage == "fit" and trainer.stop_reason:
            self._display.say(f"Stopped: {trainer.stop_reason}")
        self._display.close()
        self._display, self._phase = None, ""

    def on_train_epoch_start(self, trainer: Trainer, agent: Module) -> None:
        """Begin an epoch."""
        del agent
        self._say(f"Epoch {trainer.current_epoch}/{trainer.max_epochs}")
        self._begin(trainer, "train")

    def on_train_batch_end(
        self, trainer: Trainer, agent: Module, outputs: Any, batch: Any, number: int
    ) -> None:
        """Move on."""
        del agent, outputs, batch
        self._advance(trainer, number + 1)

    def on_train_epoch_end(self, trainer: Trainer, agent: Module) -> None:
        """End the epoch."""
        del agent
        self._end(trainer)

    def on_validation_start(self, trainer: Trainer, agent: Module) -> None:
        """Begin a validation."""
        del agent
        self._end(trainer)
        self._begin(trainer, "validation")

    def on_test_start(self, trainer: Trainer, agent: Module) -> None:
        """Begin a test."""
        del agent
        self._end(trainer)
        self._begin(trainer, "test")

    def on_predict_start(self, trainer: Trainer, agent: Module) -> None:
        """Begin a prediction."""
        del agent
        self._begin(trainer, "predict")

    on_validation_batch_end = on_train_batch_end
    on_test_batch_end = on_train_batch_end
    on_predict_batch_end = on_train_batch_end

    def on_validation_end(self, trainer: Trainer, agent: Module) -> None:
        """End a phase."""
        del agent
        self._end(trainer)

    on_test_end = on_validation_end
    on_predict_end = on_validation_end

    def _begin(self, trainer: Trainer, phase: str) -> None:
        self._phase, self._done, self._first = phase, 0, -1
        self._total = trainer.totals.get(phase)
        self._began = self._clock()
        if self._display is not None:
            self._display.begin(_TITLES[phase], self._total)

    def _advance(self, trainer: Trainer, done: int) -> None:
        if self._first < 0:
            self._first = done - 1  # batches before a resumed one took no time here
        self._done = done
        if self._display is not None and self._phase:
            self._display.advance(done, self._text(trainer))

    def _end(self, trainer: Trainer) -> None:
        if self._display is not None and self._phase:
            self._display.end(self._text(trainer))
        self._phase = ""

    def _say(self, text: str) -> None:
        if self._display is not None:
            self._display.say(text)

    def _text(self, trainer: Trainer) -> str:
        total = "?" if self._total is None else self._total
        steps = self._done - max(self._first, 0)
        pace = (self._clock() - self._began) / steps if steps else 0.0
        prefix = {"train": "train_", "validation": "val_"}.get(
            self._phase, f"{self._phase}_"
        )
        metrics = " - ".join(
            f"{name}: {value:.4g}"
            for name, value in trainer.logged_metrics.items()
            if name.startswith(prefix) and name != _COST
        )
        head = f"{_TITLES[self._phase]} {self._done}/{total} {pace:.2f}s/step"
        cost = f"tot_cost: ${trainer.total_cost:.4f}"
        return f"{head} {cost} {metrics}".rstrip()
