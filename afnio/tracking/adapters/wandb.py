"""Weights & Biases: metrics, facts and prompts of a run, on a server or offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from afnio.tracking.adapters._common import need, numbers, plain_name, prompts
from afnio.tracking.loggers import RunInfo, RunLogger

__all__ = ["WandbLogger"]


class WandbLogger(RunLogger):
    """Records a run with Weights & Biases.

    Offline, everything is written to files that ``wandb sync`` uploads later. A run
    that is resumed online goes on in the same W&B run.

    Args:
        project: Its name; by default the run's project.
        mode: ``"online"``, ``"offline"`` or ``"disabled"``; by default what W&B is set
            to.
        directory: Where its files go; by default the run's directory.
        **options: Further arguments of ``wandb.init``, such as ``entity`` or ``tags``.

    Attributes:
        run: The W&B run, once it has begun.

    Raises:
        MissingExtraError: W&B is not installed.
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        mode: Literal["online", "offline", "disabled"] | None = None,
        directory: str | None = None,
        **options: Any,
    ) -> None:
        self._wandb = need("wandb", "WandbLogger", "wandb")
        self._project = project
        self._mode = mode
        self._directory = directory
        self._options = options
        self.run: Any = None

    def start(self, run: RunInfo) -> None:
        """Begin a W&B run."""
        own = {} if not run.resumed or self._mode == "offline" else {"resume": "allow"}
        given = {
            "project": self._project or plain_name(run.project),
            "name": run.name,
            "notes": run.description or None,
            "id": run.uuid.replace("-", ""),
            "mode": self._mode,
            "dir": self._directory or (None if run.path is None else str(run.path)),
            "reinit": "create_new",
            "settings": self._wandb.Settings(console="off"),  # progress bars are ours
            **own,
        }
        self.run = self._wandb.init(**{**given, **self._options})
        # Metrics of a run have steps of their own; W&B's only counts upwards.
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Put facts into the config."""
        self.run.config.update(dict(facts), allow_val_change=True)

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Log what is a number."""
        if found := dict(numbers(metrics)):
            self.run.log({**found, "step": step})

    def log_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Show the latest prompts in the run's summary."""
        if kind == "parameters":
            for name, text in prompts(fields):
                self.run.summary[f"prompts/{name}"] = text

    def finish(self, status: str) -> None:
        """End the W&B run."""
        self.run.summary["afnio_status"] = status
        self.run.finish(exit_code=0 if status == "COMPLETED" else 1)
