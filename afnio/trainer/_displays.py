"""Where progress is shown: a bar in terminals and notebooks, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from rich.console import Console

_KEPT_LINES: Final = 100
_REDRAW_S: Final = 0.5
"""Seconds between two updates of a notebook's output."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be seen of a phase at one time."""

    title: str
    done: int
    total: int | None
    results: str
    """Pace, cost and metrics."""
    activity: str = ""
    """What is going on right now."""
    seconds: float = 0.0
    """Since the phase began."""

    @property
    def head(self) -> str:
        """The phase, and how far it is."""
        return f"{self.title} {self.done}/{'?' if self.total is None else self.total}"


class Display(Protocol):
    """How progress through one phase is shown."""

    def begin(self, shown: Shown) -> None: ...
    def update(self, shown: Shown) -> None: ...
    def end(self, shown: Shown) -> None: ...
    def say(self, text: str) -> None: ...
    def close(self) -> None: ...


def display_for(
    console: Console, every_s: float, clock: Callable[[], float]
) -> Display:
    """Return what suits the console."""
    if console.is_jupyter and find_spec("IPython") is not None:
        return Notebook(clock)
    live = console.is_terminal and not console.is_dumb_terminal
    if live and not console.is_jupyter:
        return Bars(console)
    return Lines(console, every_s, clock)


def _print(console: Console, text: str) -> None:
    """Print text as it is; terminals wrap it, files get it whole."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class Lines:
    """A line now and then, for logs."""

    def __init__(
        self, console: Console, every_s: float, clock: Callable[[], float]
    ) -> None:
        self._console = console
        self._every_s = every_s
        self._clock = clock
        self._next = 0.0

    def begin(self, shown: Shown) -> None:
        """Wait a while before the first line."""
        del shown
        self._next = self._clock() + self._every_s

    def update(self, shown: Shown) -> None:
        """Print a line, unless there was one a moment ago."""
        if self._clock() >= self._next:
            since = f"{shown.seconds:.0f}s" if shown.activity else ""
            parts = (shown.head, shown.results, since, shown.activity)
            self.say(" ".join(part for part in parts if part))

    def end(self, shown: Shown) -> None:
        """Print the last line."""
        self.say(f"{shown.head} {shown.results}".rstrip())

    def say(self, text: str) -> None:
        """Print any text."""
        _print(self._console, text)
        self._next = self._clock() + self._every_s

    def close(self) -> None:
        """Leave nothing behind."""


class Bars:
    """A live bar in one line of the terminal; phases that are over stay above it."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.table import Column

        rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._progress = Progress(
            TextColumn("{task.fields[head]}", markup=False),
            BarColumn(bar_width=16),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, table_column=rest),
            console=console,
            transient=True,
            expand=True,
        )
        self._task: Any = None
        self._progress.start()

    def begin(self, shown: Shown) -> None:
        """Show a new bar."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task("", total=shown.total, head=shown.head)
        self.update(shown)

    def update(self, shown: Shown) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            completed=shown.done,
            head=shown.head,
            description=" ".join(
                part for part in (shown.activity, shown.results) if part
            ),
        )

    def end(self, shown: Shown) -> None:
        """Turn the bar into a line."""
        self._progress.remove_task(self._task)
        self._task = None
        self.say(f"{shown.head} {shown.results}".rstrip())

    def say(self, text: str) -> None:
        """Print above the bar."""
        _print(self._progress.console, text)

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()


class Notebook:
    """One output below the cell, updated in place, without widgets.

    Phases that are over stay in it, the oldest ones cut away.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        display = import_module("IPython.display").display
        self._clock = clock
        self._lines: list[str] = []
        self._cut = 0
        self._shown: Shown | None = None
        self._next = 0.0
        self._handle: Any = display(self._bundle(), raw=True, display_id=True)

    def begin(self, shown: Shown) -> None:
        """Show a new bar."""
        self._shown = shown
        self._draw()

    def update(self, shown: Shown) -> None:
        """Move the bar, unless it has moved a moment ago."""
        self._shown = shown
        if self._clock() >= self._next:
            self._draw()

    def end(self, shown: Shown) -> None:
        """Turn the bar into a line."""
        self._shown = None
        self.say(f"{shown.head} {shown.results}".rstrip())

    def say(self, text: str) -> None:
        """Add a line above the bar."""
        self._lines.append(text)
        if len(self._lines) > _KEPT_LINES:
            self._cut += 1
            del self._lines[0]
        self._draw()

    def close(self) -> None:
        """Remove the bar."""
        self._shown = None
        self._draw()

    def _draw(self) -> None:
        self._next = self._clock() + _REDRAW_S
        self._handle.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, str]:
        """Return the output as text, and as HTML for those who show it."""
        lines = [f"[{self._cut} lines cut here]"] if self._cut else []
        lines += self._lines
        text, bar = "\n".join(lines), ""
        if (now := self._shown) is not None:
            about = " ".join(p for p in (now.head, now.activity, now.results) if p)
            size = "" if now.total is None else f' max="{now.total}" value="{now.done}"'
            bar = f"<progress{size}></progress> {escape(about)}"
            text = f"{text}\n{about}".lstrip()
        html = f"<pre>{escape(chr(10).join(lines))}</pre>{bar}"
        return {"text/plain": text, "text/html": html}
