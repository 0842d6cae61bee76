"""The top of the page: what the run was about, and what it brought."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio.tracking.report import _words as words
from afnio.tracking.report._chart import SIZE, Axis
from afnio.tracking.report._costs import Costs
from afnio.tracking.report._curves import validation_ends
from afnio.tracking.report._timeline import Timeline
from afnio.tracking.report._values import text
from afnio.tracking.summary import Summary, TestLook

_STATUSES: Final = {
    "RUNNING": "running",
    "COMPLETED": "completed",
    "CRASHED": "crashed",
    "FAILED": "failed",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """A look at the test set on a scale, in percent of the width."""

    name: str
    score: str
    interval: str
    at: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hero:
    """What the top of the page says."""

    name: str
    project: str
    description: str
    status: str
    """One of ``running``, ``completed``, ``crashed``, ``failed``, ``unknown``."""
    started: str
    claim: str
    tone: str
    """``good``, ``bad`` or ``open``."""
    change: str
    change_interval: str
    paired: int
    verdict: str
    sides: Sequence[tuple[str, int]]
    scales: tuple[Scale, ...]
    ticks: tuple[tuple[float, str], ...]
    tiles: tuple[tuple[str, str, str], ...]
    """Name, value, remark."""
    error: str
    lower_is_better: bool


def hero_of(
    run: Mapping[str, Any], found: Timeline, summary: Summary, costs: Costs | None
) -> Hero:
    """Return the top of the page."""
    validation = validation_ends(found, summary)
    tone, verdict = words.verdict(
        summary, validation, running=run.get("status") == "RUNNING"
    )
    paired = summary.difference
    up = summary.higher_is_better
    scales, ticks = _scales(summary.looks)
    return Hero(
        name=text(run.get("name"), 200) or "run",
        project=text(run.get("project"), 200),
        description=text(run.get("description"), 2_000),
        status=_STATUSES.get(text(run.get("status"), 40), "unknown"),
        started="" if found.first is None else words.day(found.first),
        claim=words.headline(summary, validation, len(found.metrics)),
        tone=tone,
        change="" if paired is None else words.change(paired.mean),
        change_interval=""
        if paired is None
        else words.interval(paired.interval, signed=True),
        paired=0 if paired is None else paired.samples,
        verdict=verdict,
        sides=() if paired is None else words.sides(paired, higher_is_better=up),
        scales=scales,
        ticks=ticks,
        tiles=tuple(_tiles(found, summary, costs)),
        error=found.error,
        lower_is_better=not up,
    )


def _scales(
    looks: Sequence[TestLook],
) -> tuple[tuple[Scale, ...], tuple[tuple[float, str], ...]]:
    """Return the first and the last look on one scale, and its ticks."""
    ends = [look for look in (*looks[:1], *looks[1:][-1:]) if math.isfinite(look.score)]
    if not ends:
        return (), ()
    values = [v for each in ends for v in (each.score, *(each.interval or ()))]
    in_unit = min(values) >= 0 and max(values) <= 1
    axis = Axis(0.0, 1.0, 0.2) if in_unit else Axis.over(values)
    names = ["before", "after"] if len(looks) > 1 else ["tested"]

    def percent(value: float) -> float:
        return round(axis.at(value) * 100 / SIZE, 2)

    scales = tuple(
        Scale(
            name,
            words.score(look.score),
            words.interval(look.interval),
            percent(look.score),
            *(map(percent, look.interval) if look.interval else (None, None)),
        )
        for name, look in zip(names, ends, strict=False)
    )
    return scales, tuple((at * 100 / SIZE, label) for at, label in axis.ticks())


def _tiles(
    found: Timeline, summary: Summary, costs: Costs | None
) -> list[tuple[str, str, str]]:
    tiles = []
    if summary.decisions:
        proposed = [each for each in summary.decisions if not each.is_final]
        kept = sum(each.accepted for each in proposed)
        parts = sum(each.part_of is not None for each in proposed)
        remark = f"of {len(proposed):,} proposed"
        remark += f", and {parts:,} as parts of those" if parts else ""
        tiles.append(("Changes kept", f"{kept:,}", remark))
    if summary.steps:
        epochs = words.counted(summary.epochs, "epoch")
        tiles.append(("Training steps", f"{summary.steps:,}", f"{epochs} completed"))
    if costs is not None:
        cached = costs.total.cached_calls
        remark = f"{cached:,} of them from a cache" if cached else "by all roles"
        tiles.append(("Model calls", f"{costs.calls:,}", remark))
        tokens = costs.total.input_tokens + costs.total.output_tokens
        cost = words.dollars(costs.total.cost_usd)
        tiles.append(("Cost", cost, f"{tokens:,} tokens"))
    if found.seconds:
        tiles.append(("Time", words.duration(found.seconds), "on the clock"))
    if summary.looks:
        looks = words.counted(len(summary.looks), "time")
        tiles.append(("Test set looked at", looks, "each is on record"))
    return tiles
