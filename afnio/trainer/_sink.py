"""From the Trainer to the active run and its loggers, any of which may be broken."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from afnio._warn import warn
from afnio.models._plan import active_plan
from afnio.tracking import Run, RunInfo, RunLogger, get_active_run
from afnio.tracking._fanout import Fanout
from afnio.tracking._manifest import command, versions
from afnio.tracking.loggers import checked_loggers
from afnio.tracking.run_context import watch


class LooseRun:
    """What loggers record where no run is: the same calls, and no directory.

    It ends when the process does.
    """

    def __init__(self, loggers: Iterable[RunLogger]) -> None:
        self.name = Path(sys.argv[0] or "session").stem
        self.uuid, self.pid = str(uuid4()), os.getpid()
        self._steps: dict[str, int] = {}
        self._lock = threading.Lock()
        info = RunInfo(name=self.name, project=self.name, uuid=self.uuid)
        self._fanout = Fanout(loggers, info, lambda *_: None)
        self.describe(command=command(), versions=versions())
        watch(self)

    def log(self, name: str, value: Any, step: int | None = None) -> None:
        """Pass a value of a metric on; see `Run.log`."""
        with self._lock:
            at = self._steps.get(name, -1) + 1 if step is None else step
            self._steps[name] = max(at, self._steps.get(name, -1))
        self._fanout.send("log_metrics", {name: value}, at)

    def record(self, kind: str, /, **fields: Any) -> None:
        """Pass an event on."""
        self._fanout.send("log_event", kind, fields)

    def describe(self, **facts: Any) -> None:
        """Pass facts on."""
        self._fanout.send("describe", facts)

    def close(self, error: BaseException | None = None) -> None:
        """End the loggers."""
        self._fanout.close("COMPLETED" if error is None else "CRASHED")


Target = Run | LooseRun


class RunSink:
    """Writes to the run that is active at the time, and to loggers of its own.

    Without either, or under a plan, it does nothing. A run that cannot be written to is
    left alone after one warning.

    Args:
        loggers: They are added to the active run; without one they are on their own.

    Raises:
        InputTypeError: Something is not a logger.
    """

    def __init__(self, loggers: Iterable[RunLogger] = ()) -> None:
        self._broken = False
        self._loggers = checked_loggers(loggers)
        self._loose: LooseRun | None = None

    def open(self) -> None:
        """Start the loggers, with the run that is active now if there is one."""
        if not self._loggers or active_plan() is not None:
            return
        loggers, self._loggers = self._loggers, []
        if (run := get_active_run()) is not None:
            run.add_loggers(loggers)
        else:
            self._loose = LooseRun(loggers)

    @property
    def active(self) -> bool:
        """Whether anybody takes what is written."""
        return bool(self._targets())

    def metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log every metric at ``step``."""

        def write(target: Target) -> None:
            for name, value in metrics.items():
                target.log(name, value, step)

        self._write(write)

    def event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Record an event."""
        self._write(lambda target: target.record(kind, **fields))

    def describe(self, **facts: Any) -> None:
        """Add facts to the manifest."""
        self._write(lambda target: target.describe(**facts))

    def prompt(self, name: str, value: Any) -> None:
        """Keep a parameter's first and latest value as files of the run."""

        def write(target: Target) -> None:
            if isinstance(target, Run):
                target.save_prompt(name, value)

        self._write(write)

    def _targets(self) -> list[Target]:
        if active_plan() is not None:
            return []  # what stand-ins have come to is no result
        run = None if self._broken else get_active_run()
        return [target for target in (run, self._loose) if target is not None]

    def _write(self, write: Callable[[Target], None]) -> None:
        for target in self._targets():
            try:
                write(target)
            except Exception as error:  # noqa: BLE001 - a logger must not stop training
                self._broken = True
                warn(
                    f"run {target.name!r} cannot be written to "
                    f"({type(error).__name__}: {error}); training goes on without it.",
                )


@contextmanager
def decisions_recorded(
    optimizers: Iterable[Any], sink: RunSink, decisions: list[Any]
) -> Iterator[None]:
    """Record every decision that an optimizer takes inside the block."""

    def listen(record: Any) -> None:
        decisions.append(record)
        sink.event("decision", record.to_dict())

    listening = [each.on_record for each in optimizers if hasattr(each, "on_record")]
    for listeners in listening:
        listeners.append(listen)
    try:
        yield
    finally:
        for listeners in listening:
            listeners.remove(listen)
