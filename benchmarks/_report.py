"""Rows of a benchmark, printed as one table with the target beside each figure."""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what, how much, how noisy, and what we want."""

    what: str
    value: float
    unit: str
    low: float
    high: float
    target: str

    @property
    def shown(self) -> str:
        """The median with its range over the repetitions; why not, if unmeasured."""
        if not self.unit:
            return "not measured"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}] {self.unit}"


def measure(
    what: str, unit: str, target: str, run: Callable[[], float], repeat: int = 5
) -> Row:
    """Call ``run`` a few times; the row holds median, minimum and maximum."""
    values = [run() for _ in range(repeat)]
    return Row(what, statistics.median(values), unit, min(values), max(values), target)


def seconds(run: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the process's CPU seconds of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def show(title: str, rows: list[Row]) -> None:
    """Print the table."""
    from rich.console import Console  # peers measure where it may be missing
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{title} (Python {platform.python_version()})")
    for column in ("what", r"median \[min, max]", "target"):
        table.add_column(column)
    for row in rows:
        table.add_row(*map(escape, (row.what, row.shown, row.target)))
    Console(file=sys.stdout, width=110).print(table)
