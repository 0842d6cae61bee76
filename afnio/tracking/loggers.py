"""RunLogger: where else a run is recorded, such as an experiment tracker.

A logger is anything with the methods of `RunLogger`; derive from it and override what
you need:

    class Printing(RunLogger):
        def log_metrics(self, metrics, step):
            print(step, metrics)

    tracking.init("me", "Project", loggers=[Printing()])    # or Trainer(loggers=[…])

Methods are called in order, one at a time, on a thread of their own: a slow logger
holds nobody up. One that raises is left alone from then on; the run says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from afnio._text import describe
from afnio.errors import InputTypeError

__all__ = ["RunInfo", "RunLogger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Which run a logger records."""

    name: str
    project: str
    uuid: str
    description: str = ""
    path: Path | None = None
    """The run's directory; None for a Trainer without a run."""
    resumed: bool = False
    """Whether it goes on where an earlier process has stopped."""


@runtime_checkable
class RunLogger(Protocol):
    """What a logger may do; here, every method does nothing."""

    def start(self, run: RunInfo) -> None:
        """Begin; called once, before everything else."""

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Take facts about the run, as nested JSON data, when they become known."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Take values of metrics; most are numbers."""

    def log_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Take an event other than a metric, as JSON data; see the run's file."""

    def finish(self, status: str) -> None:
        """End: ``COMPLETED``, ``CRASHED`` or ``FAILED``."""


def checked_loggers(loggers: Iterable[RunLogger]) -> list[RunLogger]:
    """Return the loggers as a list.

    Raises:
        InputTypeError: Something in it is no logger, or it is no list.
    """
    if isinstance(loggers, (str, Mapping)) or not isinstance(loggers, Iterable):
        raise InputTypeError(
            f"loggers must be a list of loggers, got {describe(loggers)}."
        )
    found = list(loggers)
    for logger in found:
        if isinstance(logger, type) or not isinstance(logger, RunLogger):
            name = logger.__name__ if isinstance(logger, type) else describe(logger)
            raise InputTypeError(
                f"loggers holds {name}, which is not a RunLogger object; pass one of "
                "afnio.tracking.adapters, or derive from afnio.tracking.RunLogger."
            )
    return found
