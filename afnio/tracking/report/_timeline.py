"""What a run's events say, in order, with what was done twice counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from afnio.optim.records import part_of
from afnio.tracking.report._values import (
    amounts,
    count,
    mapping,
    mappings,
    moment,
    number,
    numbers,
    text,
)

Event = Mapping[str, Any]

MAX_WARNINGS: Final = 20
"""Warnings that a report shows."""


@dataclass(frozen=True, slots=True)
class At:
    """An event, and the training step it belongs to, counted over all fits."""

    step: int
    event: Event


@dataclass(slots=True)
class Timeline:
    """The events of a run, by kind, oldest first."""

    steps: list[At] = field(default_factory=list)
    epochs: list[At] = field(default_factory=list)
    evidence: list[At] = field(default_factory=list)
    validations: list[At] = field(default_factory=list)
    tests: list[At] = field(default_factory=list)
    decisions: list[At] = field(default_factory=list)
    usage: list[At] = field(default_factory=list)
    parameters: list[At] = field(default_factory=list)
    outcomes: list[At] = field(default_factory=list)
    fits: list[At] = field(default_factory=list)
    ends: list[At] = field(default_factory=list)
    metrics: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Logged values by name: steps and numbers."""
    logged: dict[str, str] = field(default_factory=dict)
    """The last value of what was logged and is no number."""
    warnings: list[str] = field(default_factory=list)
    graph: Event = field(default_factory=dict)
    error: str = ""
    first: datetime | None = None
    last: datetime | None = None
    seconds: float = 0.0
    """Between first and last event, without the time until a run was resumed."""
    count: int = 0


def timeline(events: Iterable[Event]) -> Timeline:
    """Sort events by kind.

    A fit that was resumed from a checkpoint repeats what was done after it; the
    repetition takes the place of what it repeats.
    """
    return _Reader().read(events)


class _Reader:
    """Keeps where the run stands while its events are read."""

    def __init__(self) -> None:
        self.found = Timeline()
        self.offset = 0
        """Steps of earlier fits."""
        self.step = 0
        """Steps of all fits so far."""

    def read(self, events: Iterable[Event]) -> Timeline:
        for event in events:
            self.found.count += 1
            kind = text(event.get("type"), 80)
            self.pass_time(moment(event.get("time")), paused=kind == "resumed")
            handle = _HANDLERS.get(kind)
            if handle is not None:
                handle(self, event)
        return self.found

    def pass_time(self, now: datetime | None, *, paused: bool) -> None:
        """Count the time since the event before, unless nobody was at work."""
        if now is None:
            return
        last = self.found.last
        if last is not None and now > last and not paused:
            self.found.seconds += (now - last).total_seconds()
        self.found.first, self.found.last = self.found.first or now, now

    def rewind(self, step: int) -> None:
        """Forget what was done after ``step`` of the present fit."""
        self.step = self.offset + step
        found = self.found
        histories = (
            found.steps,
            found.epochs,
            found.evidence,
            found.decisions,
            found.parameters,
            found.usage,
        )
        for kept in histories:
            kept[:] = [at for at in kept if at.step <= self.step]

    def new_fit(self) -> None:
        self.offset = self.step

    def on_fit_start(self, event: Event) -> None:
        if event.get("resumed_from"):
            self.rewind(count(event.get("step")))
        else:
            self.new_fit()
        self.found.fits.append(At(self.step, event))

    def on_step(self, event: Event) -> None:
        own = count(event.get("step"))
        if self.offset + own < self.step or self._is_repeated(event):
            is_first = own <= 1 and count(event.get("epoch"), 1) <= 1
            if is_first:
                self.new_fit()
            else:
                self.rewind(own - 1)
        self.step = self.offset + own
        self.found.steps.append(At(self.step, event))

    def _is_repeated(self, event: Event) -> bool:
        if not self.found.steps:
            return False
        last, place = self.found.steps[-1].event, ("epoch", "batch", "step")
        return all(last.get(key) == event.get(key) for key in place)

    def on_decision(self, event: Event) -> None:
        step = self.step if is_final(event) else self.step + 1
        self.found.decisions.append(At(step, event))

    def on_evidence(self, event: Event) -> None:
        self.found.evidence.append(At(self.step + 1, event))

    def on_metric(self, event: Event) -> None:
        name, value = text(event.get("name"), 200), number(event.get("value"))
        if value is None:
            self.found.logged[name] = text(event.get("value"), 200)
            return
        series = self.found.metrics.setdefault(name, [])
        at = number(event.get("step"))
        series.append((float(len(series)) if at is None else at, value))

    def on_warning(self, event: Event) -> None:
        if len(self.found.warnings) < MAX_WARNINGS:
            self.found.warnings.append(text(event.get("message"), 1_000))

    def on_logger_failed(self, event: Event) -> None:
        name, error = text(event.get("logger"), 200), text(event.get("error"), 500)
        self.on_warning({"message": f"The logger {name} failed: {error}"})

    def on_graph(self, event: Event) -> None:
        self.found.graph = self.found.graph or event

    def on_status(self, event: Event) -> None:
        self.found.error = text(event.get("error"), 1_000)


def _keep(name: str) -> Callable[[_Reader, Event], None]:
    """Return a handler that notes where the run stands."""

    def keep(reader: _Reader, event: Event) -> None:
        getattr(reader.found, name).append(At(reader.step, event))

    return keep


_HANDLERS: Final[Mapping[str, Callable[[_Reader, Event], None]]] = {
    "decision": _Reader.on_decision,
    "epoch": _keep("epochs"),
    "evidence": _Reader.on_evidence,
    "fit_end": _keep("ends"),
    "fit_start": _Reader.on_fit_start,
    "graph": _Reader.on_graph,
    "logger_failed": _Reader.on_logger_failed,
    "metric": _Reader.on_metric,
    "outcomes": _keep("outcomes"),
    "parameters": _keep("parameters"),
    "status": _Reader.on_status,
    "step": _Reader.on_step,
    "test": _keep("tests"),
    "usage": _keep("usage"),
    "validate": _keep("validations"),
    "warning": _Reader.on_warning,
}


def metrics_of(event: Event) -> dict[str, float]:
    """Return the metrics of a record."""
    return amounts(event.get("metrics"))


def scores_of(event: Event, name: str) -> tuple[float, ...]:
    """Return the per-sample scores of a record; empty if they are not all numbers."""
    return numbers(event.get(name))


def changes_of(event: Event) -> list[Event]:
    """Return what a decision's candidate would change."""
    return mappings(event.get("changes"))


def is_final(event: Event) -> bool:
    """Whether a decision is the last one of a search: which candidate it returns.

    It changes nothing, and comes after the last step; others come within theirs.
    """
    return event.get("accepted") is True and not changes_of(event)


def fate_of(event: Event) -> str:
    """Return what became of a candidate: accepted, part, rejected, or final."""
    if is_final(event):
        return "final"
    if event.get("accepted") is True:
        return "accepted"
    reason = event.get("reason")
    is_part = isinstance(reason, str) and part_of(reason) is not None
    return "part" if is_part else "rejected"


def verdict_of(event: Event) -> Event:
    """Return what the gate said; empty if the candidate did not reach it."""
    return mapping(event.get("decision"))
