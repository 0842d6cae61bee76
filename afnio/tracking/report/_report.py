"""From a run's directory to its summary and its page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from afnio._files import write_atomic
from afnio._text import describe
from afnio.errors import InputTypeError
from afnio.tracking import read_run
from afnio.tracking.report._changes import (
    Changes,
    Parameter,
    changes_in,
    parameters_of,
)
from afnio.tracking.report._chart import Chart
from afnio.tracking.report._costs import Costs, costs_of
from afnio.tracking.report._curves import (
    candidate_chart,
    cost_chart,
    other_charts,
    raw_chart,
    score_chart,
)
from afnio.tracking.report._graph import Graph, draw_event
from afnio.tracking.report._hero import Hero, hero_of
from afnio.tracking.report._render import render
from afnio.tracking.report._samples import Samples, samples_of
from afnio.tracking.report._summary import summary_of
from afnio.tracking.report._timeline import Timeline, timeline
from afnio.tracking.report._values import items, mapping, text
from afnio.tracking.summary import Summary

REPORT_FILE: Final = "report.html"

_SHOWN_ELSEWHERE: Final = {"format", "version", "name", "description", "status"}
_PLAIN: Final = {None: "none", True: "yes", False: "no"}
_MAX_FACTS: Final = 60
_MAX_DEPTH: Final = 5

Fact = tuple[str, "str | list[Fact]"]
"""A name, and a text or further facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that the page shows."""

    hero: Hero
    summary: Summary
    scores: Chart | None
    cost: Chart | None
    candidates: Chart | None
    raw: Chart | None
    others: list[Chart]
    parameters: list[Parameter]
    changes: Changes
    samples: Samples | None
    costs: Costs | None
    graph: Graph | None
    facts: list[Fact]
    logged: Mapping[str, str]
    warnings: list[str]
    events: int
    last: datetime | None


def write_report(
    run_dir: str | os.PathLike[str], out: str | os.PathLike[str] | None = None
) -> Path:
    """Write a run's report: one HTML file that needs no other, and no network.

    The run may still be going on, or have crashed; the page says so. Text of the
    program is escaped, and the page is forbidden to load anything.

    Args:
        run_dir: The run's directory.
        out: The file to write; by default ``report.html`` in that directory. A
            directory gets a file of that name; a link of that name is replaced, so
            that a run from elsewhere cannot choose what is written to.

    Returns:
        Where the report is.

    Raises:
        InputTypeError: An argument is not a path.
        FileFormatError: ``run_dir`` is not a run.
        OSError: The file cannot be written.

    Examples:
        >>> import tempfile
        >>> from afnio import tracking
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     os.environ["AFNIO_RUNS"] = folder
        ...     run = tracking.init("me", "Greetings", "first")
        ...     tracking.log("accuracy", 0.5)
        ...     tracking.finish()
        ...     write_report(run.path).name
        'report.html'
    """
    directory = checked_path("run_dir", run_dir)
    target = directory if out is None else checked_path("out", out)
    is_our_name = target.is_dir()
    if is_our_name:
        target /= REPORT_FILE
    page = page_of(directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_our_name and target.is_symlink():
        target.unlink()
    write_atomic(target, page.encode("utf-8", "replace"))
    return target


def page_of(directory: Path, *, live: str = "") -> str:
    """Return the page; with ``live``, how the run stands, it asks for newer ones."""
    return render(report_of(directory), live=live)


def read_summary(run_dir: str | os.PathLike[str]) -> Summary:
    """Return a run's summary, as its Trainer would have printed it.

    Args:
        run_dir: The run's directory.

    Raises:
        InputTypeError: ``run_dir`` is not a path.
        FileFormatError: It is not a run.
    """
    directory = checked_path("run_dir", run_dir)
    _, events = read_run(directory)
    return summary_of(timeline(events), str(directory))


def report_of(directory: Path) -> Report:
    """Read a run and collect what its page shows."""
    run, events = read_run(directory)
    found = timeline(events)
    summary = summary_of(found, str(directory))
    costs = costs_of(summary)
    changes = changes_in(found)
    return Report(
        hero=hero_of(run, found, summary, costs),
        summary=summary,
        scores=score_chart(found, summary),
        cost=cost_chart(found),
        candidates=candidate_chart(found),
        raw=raw_chart(found, summary),
        others=other_charts(found, summary),
        parameters=parameters_of(found, summary.parameters),
        changes=changes,
        samples=samples_of(found, summary),
        costs=costs,
        graph=draw_event(found.graph),
        facts=_facts(_manifest(run, found), _MAX_DEPTH),
        logged=found.logged,
        warnings=found.warnings,
        events=found.count,
        last=found.last,
    )


def checked_path(name: str, value: Any) -> Path:
    """Return a path.

    Raises:
        InputTypeError: It is none.
    """
    try:
        return Path(os.fspath(value))
    except TypeError as error:
        raise InputTypeError(
            f"{name} must be a path, got {describe(value)}."
        ) from error


def _manifest(run: Mapping[str, Any], found: Timeline) -> dict[str, Any]:
    """Return what is known about how the run was made."""
    facts = {key: value for key, value in run.items() if key not in _SHOWN_ELSEWHERE}
    if found.fits:
        fit = found.fits[-1].event
        facts["fit"] = {k: v for k, v in fit.items() if k not in ("time", "type")}
    return facts


def _facts(value: Any, depth: int) -> list[Fact]:
    """Return nested data as names with texts, cut where it is deep or long."""
    if isinstance(value, Mapping):
        pairs = [(text(key, 200), item) for key, item in value.items()]
    else:
        pairs = [(str(number), item) for number, item in enumerate(items(value))]
    facts: list[Fact] = []
    for key, item in pairs[:_MAX_FACTS]:
        plain = _as_text(item)
        if plain is None and depth:
            facts.append((key, _facts(item, depth - 1)))
        else:
            facts.append((key, text(item, 2_000) if plain is None else plain))
    if len(pairs) > _MAX_FACTS:
        facts.append(("…", f"{len(pairs) - _MAX_FACTS} more are not shown"))
    return facts


def _as_text(item: Any) -> str | None:
    """Return a leaf, or a list of leaves, as text; None for what is nested."""
    if isinstance(item, (list, tuple)):
        if any(mapping(each) or isinstance(each, (list, tuple)) for each in item):
            return None
        return ", ".join(text(each, 500) for each in item[:_MAX_FACTS])
    if isinstance(item, Mapping):
        return None
    return (
        _PLAIN.get(item, "")
        if item is None or isinstance(item, bool)
        else (text(item, 2_000))
    )
