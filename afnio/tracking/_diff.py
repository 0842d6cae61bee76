"""Two values of a parameter, compared line by line or row by row. Pure."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from typing import Any, Final

from afnio._text import shorten

MAX_LINES: Final = 40
"""Lines shown of one diff."""

MAX_WIDTH: Final = 240
"""Characters shown of one line."""

_LONG: Final = 88
_CELL: Final = 80
_SENTENCE: Final = re.compile(r"(?<=[.!?;:])\s+")


def diff_lines(before: Any, after: Any) -> list[str]:
    """Return a unified diff without file names; empty if nothing differs.

    Texts are compared by line, and lines of several sentences by sentence. Lists are
    compared by row: rows removed, then rows added.
    """
    if before == after:
        return []
    if isinstance(before, str) and isinstance(after, str):
        return _text_diff(before, after)
    if isinstance(before, (list, type(None))) and isinstance(after, (list, type(None))):
        return _row_diff(before or [], after or [])
    return [f"-{before}", f"+{after}"]


def row_counts(before: Any, after: Any) -> tuple[int, int] | None:
    """Return how many rows were added and removed; None unless both hold lists."""
    if not isinstance(before, (list, type(None))) or not isinstance(after, list):
        return None
    old, new = (Counter(map(_row, rows)) for rows in (before or [], after))
    return (new - old).total(), (old - new).total()


def cut_lines(lines: list[str]) -> list[str]:
    """Cut what is long, and say so in its place."""
    shown = [_cut_line(line) for line in lines[:MAX_LINES]]
    if left := len(lines) - len(shown):
        shown.append(f"[{left} more lines cut here; to_dict() has them all]")
    return shown


def _cut_line(line: str) -> str:
    left = len(line) - MAX_WIDTH
    return line if left <= 0 else f"{line[:MAX_WIDTH]} [{left} more characters cut]"


def _text_diff(before: str, after: str) -> list[str]:
    lines = [text.splitlines() or [""] for text in (before, after)]
    if any(len(line) > _LONG for text in lines for line in text):
        lines = [[s for line in text for s in _SENTENCE.split(line)] for text in lines]
    old, new = lines
    diff = list(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]
    return diff[1:] if sum(line.startswith("@@") for line in diff) == 1 else diff


def _row_diff(before: list[Any], after: list[Any]) -> list[str]:
    old, new = [_row(row) for row in before], [_row(row) for row in after]
    gone, added = Counter(old) - Counter(new), Counter(new) - Counter(old)
    if not gone and not added:
        return [" (the same rows in another order)"]
    return [f"-{row}" for row in gone.elements()] + [
        f"+{row}" for row in added.elements()
    ]


def _row(row: Any) -> str:
    if not isinstance(row, (list, tuple)) or not row:
        return shorten(row, _CELL)
    *fields, output = (shorten(cell, _CELL) for cell in row)
    return f"{' | '.join(fields)} -> {output}" if fields else output
