"""Charts as geometry: what stands where, in thousandths of the plot. Pure.

The template draws the plot as an SVG that is stretched to the width there is, with
strokes that keep their width, and puts the words around it as text of the page. So the
charts read well on a phone and in print, take the page's colours, and need no script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Final

SIZE: Final = 1000
"""The plot's width and height."""

MAX_POINTS: Final = 240
"""Points drawn of one series."""

_Z: Final = 1.959963984540054
_BINS: Final = 60
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Value:
    """A point of a series."""

    x: float
    y: float
    interval: tuple[float, float] | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Values that belong together."""

    name: str
    style: str
    """What the style sheet calls it: ``train``, ``val``, ``test`` or ``other``."""
    values: Sequence[Value]
    shape: str = "line"
    """``line``, ``step`` (a value holds until the next one) or ``points``."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A thing that happened at a step."""

    x: float
    style: str
    label: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point as drawn."""

    x: float
    y: float
    label: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A series as drawn."""

    name: str
    style: str
    line: str
    band: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as drawn, and its numbers as a table."""

    title: str
    x_name: str
    series: tuple[Drawn, ...]
    marks: tuple[Dot, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    rows: tuple[tuple[str, str, str, str], ...] = ()
    """Series, position, value, interval."""
    left_out: int = 0
    """Rows that the table does not show."""
    mark_style: tuple[str, ...] = field(default=())


MAX_ROWS: Final = 200
"""Rows of a chart's table."""


def chart(
    title: str,
    series: Iterable[Series],
    *,
    x_name: str = "training step",
    marks: Sequence[Mark] = (),
    floor: float | None = None,
    form: str = ".3g",
) -> Chart | None:
    """Lay out a chart; None if there is nothing to draw.

    Args:
        title: What it shows.
        series: Those without values are left out.
        x_name: What the horizontal axis counts.
        marks: Drawn at the bottom.
        floor: A value that the vertical axis has to reach.
        form: How values are written in the table.
    """
    shown = [each for each in series if each.values]
    if not shown:
        return None
    values = [value for each in shown for value in each.values]
    xs = [value.x for value in values] + [mark.x for mark in marks]
    ys = [y for v in values for y in (v.y, *(v.interval or ()))]
    x_axis = Axis.over(xs, whole=True)
    y_axis = Axis.over(ys if floor is None else [*ys, floor])
    rows = [_row(each.name, v, form) for each in shown for v in each.values]
    return Chart(
        title=title,
        x_name=x_name,
        series=tuple(_drawn(each, x_axis, y_axis) for each in shown),
        marks=tuple(Dot(x_axis.at(m.x), 0, m.label) for m in marks),
        mark_style=tuple(mark.style for mark in marks),
        x_ticks=x_axis.ticks(),
        y_ticks=tuple((SIZE - at, label) for at, label in y_axis.ticks()),
        rows=tuple(rows[:MAX_ROWS]),
        left_out=max(0, len(rows) - MAX_ROWS),
    )


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of numbers and the distance of its ticks."""

    low: float
    high: float
    tick: float

    @classmethod
    def over(cls, values: Iterable[float], *, whole: bool = False) -> Axis:
        """Return an axis that holds all values, its ticks at round numbers."""
        found = list(values)
        low, high = min(found), max(found)
        if high - low < 1e-9 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        tick = _round_up((high - low) / _TICKS)
        if whole:
            return cls(low, high, max(1.0, round(tick)))
        return cls(math.floor(low / tick) * tick, math.ceil(high / tick) * tick, tick)

    def at(self, value: float) -> float:
        """Return where a value stands."""
        return round((value - self.low) / (self.high - self.low) * SIZE, 1)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Return where the ticks stand, and what they say."""
        first = math.ceil(self.low / self.tick - 1e-9)
        last = math.floor(self.high / self.tick + 1e-9)
        digits = max(0, -math.floor(math.log10(self.tick) + 1e-9))
        values = [number * self.tick for number in range(first, last + 1)]
        return tuple((self.at(v), f"{v + 0.0:,.{digits}f}") for v in values)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, … (times any power of ten)."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= value * 0.999999)


def _drawn(series: Series, x_axis: Axis, y_axis: Axis) -> Drawn:
    values = _thinned(series.values)

    def y(value: float) -> float:
        return round(SIZE - y_axis.at(value), 1)

    dots = tuple(
        Dot(
            x_axis.at(v.x),
            y(v.y),
            v.label,
            *((y(v.interval[0]), y(v.interval[1])) if v.interval else ()),
        )
        for v in values
    )
    return Drawn(
        series.name,
        series.style,
        "" if series.shape == "points" else _path([(d.x, d.y) for d in dots], series),
        "" if series.shape == "points" else _band(dots, series),
        dots,
    )


def _thinned(values: Sequence[Value]) -> Sequence[Value]:
    """Return at most `MAX_POINTS` values, first and last included."""
    if len(values) <= MAX_POINTS:
        return values
    stride = (len(values) - 1) / (MAX_POINTS - 1)
    return [values[round(number * stride)] for number in range(MAX_POINTS)]


def _path(points: Sequence[tuple[float, float]], series: Series) -> str:
    return "" if len(points) < 2 else "M" + _corners(points, series)  # noqa: PLR2004


def _corners(points: Sequence[tuple[float, float]], series: Series) -> str:
    """Return the points of a line; of steps, with the corners in between."""
    parts = [f"{points[0][0]:g} {points[0][1]:g}"]
    for x, y in points[1:]:
        parts.append(f"H{x:g}V{y:g}" if series.shape == "step" else f"L{x:g} {y:g}")
    return "".join(parts)


def _band(dots: Sequence[Dot], series: Series) -> str:
    """Return the outline of the intervals: along the upper ends and back below."""
    known = [dot for dot in dots if dot.low is not None and dot.high is not None]
    if len(known) < 2:  # noqa: PLR2004 - a band has a width
        return ""
    upper = [(dot.x, dot.high or 0.0) for dot in known]
    lower = [(dot.x, dot.low or 0.0) for dot in reversed(known)]
    if series.shape == "step":
        lower = _held_back(lower)
        there = _corners(upper, series)
        back = "".join(f"L{x:g} {y:g}" for x, y in lower)
        return f"M{there}{back}Z"
    return f"M{_corners(upper, series)}L{_corners(lower, series)}Z"


def _held_back(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of steps that are walked from right to left."""
    corners = [points[0]]
    for x, y in points[1:]:
        corners += [(corners[-1][0], y), (x, y)]
    return corners


def _row(name: str, value: Value, form: str) -> tuple[str, str, str, str]:
    interval = (
        ""
        if value.interval is None
        else (f"{value.interval[0]:{form}} to {value.interval[1]:{form}}")
    )
    return name, f"{value.x:g}", f"{value.y:{form}}", interval


def binned(values: Sequence[tuple[float, float]]) -> list[Value]:
    """Average many noisy values; bins of several carry a 95 % interval of the mean.

    Args:
        values: Positions and values, in order.
    """
    size = max(1, math.ceil(len(values) / _BINS))
    return [_bin(values[at : at + size]) for at in range(0, len(values), size)]


def _bin(part: Sequence[tuple[float, float]]) -> Value:
    xs, ys = [x for x, _ in part], [y for _, y in part]
    mean = fmean(ys)
    if len(ys) == 1:
        return Value(xs[0], mean, None, f"step {xs[0]:g}: {mean:.3g}")
    reach = _Z * stdev(ys) / math.sqrt(len(ys))
    label = f"steps {xs[0]:g} to {xs[-1]:g}, mean {mean:.3g}"
    return Value(fmean(xs), mean, (mean - reach, mean + reach), label)
