"""Callbacks: what may happen around training, in Lightning's words."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from afnio._text import closest
from afnio._warn import warn
from afnio.errors import InputValueError

if TYPE_CHECKING:
    from afnio.cognitive.modules.module import Module
    from afnio.trainer._metrics import Record
    from afnio.trainer.trainer import Trainer

__all__ = ["Callback", "EarlyStopping", "HistoryLogger"]


Done: TypeAlias = Awaitable[None] | None
"""What hooks return: nothing, now or later."""


class Callback:
    """Base class of callbacks; override what you need, plain or ``async def``.

    Besides what is listed here, every hook of a Module is called on callbacks too, with
    the trainer and the agent as first arguments, such as
    ``on_train_batch_end(trainer, agent, outputs, batch, batch_idx)``.
    """

    def setup(self, trainer: Trainer, agent: Module, stage: str) -> Done:
        """Run first; ``stage`` is fit, validate, test or predict."""

    def teardown(self, trainer: Trainer, agent: Module, stage: str) -> Done:
        """Run last, also after an error."""

    def on_record(self, trainer: Trainer, agent: Module, record: Record) -> Done:
        """Run when something was added to ``trainer.history``."""

    def on_exception(
        self, trainer: Trainer, agent: Module, error: BaseException
    ) -> Done:
        """Run when the Trainer stops because of ``error``."""

    def on_save_checkpoint(
        self, trainer: Trainer, agent: Module, checkpoint: MutableMapping[str, Any]
    ) -> Done:
        """Add data of your own to a checkpoint."""

    def on_load_checkpoint(
        self, trainer: Trainer, agent: Module, checkpoint: Mapping[str, Any]
    ) -> Done:
        """Read back what `on_save_checkpoint` has added."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint should keep of this callback."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""


class EarlyStopping(Callback):
    """Stop when a metric has not improved for some epochs.

    Args:
        monitor: The metric; by default the one the Trainer monitors.
        patience: Epochs without improvement that are tolerated.
        min_delta: What counts as improvement.
        mode: ``"max"`` or ``"min"``; by default as ``trainer.higher_is_better``.

    Raises:
        InputValueError: A value is out of range; while fitting: no such metric.
    """

    def __init__(
        self,
        monitor: str | None = None,
        patience: int = 3,
        min_delta: float = 0.0,
        mode: Literal["max", "min"] | None = None,
    ) -> None:
        if patience < 0 or min_delta < 0:
            raise InputValueError(
                f"patience and min_delta must be >= 0; got {patience}, {min_delta}."
            )
        if mode not in ("max", "min", None):
            raise InputValueError(f"mode is {mode!r}; expected 'max' or 'min'.")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.mode = mode
        self.best: float | None = None
        self.wait = 0

    def on_train_epoch_end(self, trainer: Trainer, agent: Module) -> None:
        """Compare the monitored metric with the best so far."""
        name = self.monitor or trainer.monitor
        value = trainer.logged_metrics.get(name)
        if value is None:
            raise InputValueError(
                f"EarlyStopping monitors {name!r} for {type(agent).__name__}, but the "
                f"metrics are {', '.join(sorted(trainer.logged_metrics)) or 'none'}; "
                f"{closest(name, trainer.logged_metrics)}"
            )
        if self._is_better(value, trainer):
            self.best, self.wait = value, 0
            return
        self.wait += 1
        if self.wait > self.patience:
            trainer.stop(f"{name} has not improved for {self.wait} epochs")

    def _is_better(self, value: float, trainer: Trainer) -> bool:
        if self.best is None or math.isnan(self.best):
            return True
        highest = trainer.higher_is_better if self.mode is None else self.mode == "max"
        gain = value - self.best if highest else self.best - value
        return gain > self.min_delta

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and how long ago it was."""
        return {"best": self.best, "wait": self.wait}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue to wait."""
        self.best, self.wait = state["best"], state["wait"]


class HistoryLogger(Callback):
    """Write every record of ``trainer.history`` to a file, one JSON object per line.

    A fit writes the file anew, with the history so far. If the file cannot be written,
    training goes on without it.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._broken = False

    def on_fit_start(self, trainer: Trainer, agent: Module) -> None:
        """Write what there is."""
        del agent
        self._write("w", trainer.history)

    def on_record(self, trainer: Trainer, agent: Module, record: Record) -> None:
        """Append one line."""
        del trainer, agent
        self._write("a", [record])

    def _write(self, mode: str, records: list[Record]) -> None:
        if self._broken:
            return
        lines = "".join(f"{record.to_json()}\n" for record in records)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open(mode, encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            self._broken = True
            warn(
                f"{self.path} cannot be written ({error.strerror}); training goes on "
                "without it.",
            )
