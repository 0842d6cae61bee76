"""From the Trainer to the active run, which may be absent or broken."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from afnio.tracking import Run, get_active_run


class RunSink:
    """Writes to the run that is active at the time; without one it does nothing.

    A run that cannot be written to is left alone after one warning.
    """

    def __init__(self) -> None:
        self._broken = False

    def metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log every metric at ``step``."""

        def write(run: Run) -> None:
            for name, value in metrics.items():
                run.log(name, value, step)

        self._write(write)

    def event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Record an event."""
        self._write(lambda run: run.record(kind, **fields))

    def _write(self, write: Callable[[Run], None]) -> None:
        run = None if self._broken else get_active_run()
        if run is None:
            return
        try:
            write(run)
        except Exception as error:  # noqa: BLE001 - a logger must not stop training
            self._broken = True
            warnings.warn(
                f"run {run.name!r} cannot be written to ({type(error).__name__}: "
                f"{error}); training goes on without it.",
                RuntimeWarning,
                stacklevel=2,
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
