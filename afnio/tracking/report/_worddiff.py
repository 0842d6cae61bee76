"""Two texts compared word by word, to mark what went and what came. Pure."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Final

from afnio._text import shorten

_TOKEN: Final = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
"""A word or a sign, with the space after it."""
_MAX_PAIRS: Final = 60_000
"""Equal pairs of words in two passages that are compared word by word; passages with
more of them, which are long or repeat themselves, go as a whole."""
_ALIKE: Final = 0.35
"""Passages less alike than this go as a whole: single words in common confuse."""
_CONTEXT: Final = 160
"""Characters shown on either side of what changed."""
_MAX_ROWS: Final = 40
_CELL: Final = 400
"""Characters of one field of a row."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text that stayed (``same``), went (``del``) or came (``ins``)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Diff:
    """What is different between two values of a parameter."""

    spans: tuple[Span, ...]
    is_rows: bool = False
    """Whether each span is a line of its own: rows of a list."""
    left_out: int = 0
    """Rows that are not shown."""

    @property
    def added(self) -> int:
        """Characters that came."""
        return sum(len(span.text) for span in self.spans if span.kind == "ins")

    @property
    def removed(self) -> int:
        """Characters that went."""
        return sum(len(span.text) for span in self.spans if span.kind == "del")


def diff(before: Any, after: Any) -> Diff:
    """Compare two values: texts by word, lists by row."""
    if isinstance(before, str) and isinstance(after, str):
        return _text_diff(before, after)
    if not isinstance(before, list) and not isinstance(after, list):
        return Diff((Span("del", str(before)), Span("ins", str(after))))
    rows = list(_rows(_items(before), _items(after)))
    left = max(0, len(rows) - _MAX_ROWS)
    return Diff(tuple(rows[:_MAX_ROWS]), is_rows=True, left_out=left)


def _rows(before: list[Any], after: list[Any]) -> Iterator[Span]:
    """Yield rows that went, then rows that came."""
    old, new = Counter(map(_row, before)), Counter(map(_row, after))
    yield from (Span("del", row) for row in (old - new).elements())
    yield from (Span("ins", row) for row in (new - old).elements())
    if old == new and before != after:
        yield Span("same", "The same rows in another order.")


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _row(row: Any) -> str:
    """Write a row of fields and an output on one line."""
    if not isinstance(row, (list, tuple)) or not row:
        return shorten(row, _CELL)
    *fields, output = (shorten(cell, _CELL) for cell in row)
    return f"{' | '.join(fields)} → {output}" if fields else output


@functools.lru_cache(maxsize=256)
def _text_diff(before: str, after: str) -> Diff:
    """Compare two texts; kept, as a live view asks for the same ones again."""
    return Diff(tuple(_shortened(_merged(_compared(before, after)))))


def _compared(before: str, after: str) -> Iterator[Span]:
    """Compare by line, and lines that were replaced by word.

    The ends of lines stand between the passages, so none of them counts as a change.
    """
    old, new = before.split("\n"), after.split("\n")
    for number, (same, a, b, c, d) in enumerate(_passages(old, new)):
        went, came = "\n".join(old[a:b]), "\n".join(new[c:d])
        if number:
            yield Span("same", "\n")
        if same:
            yield Span("same", went)
        else:
            yield from _words(went, came)


def _words(went: str, came: str) -> Iterator[Span]:
    old, new = _TOKEN.findall(went), _TOKEN.findall(came)
    passages = _passages([_key(token) for token in old], [_key(t) for t in new])
    stayed = sum(b - a for same, a, b, _, _ in passages if same)
    if 2 * stayed < _ALIKE * (len(old) + len(new)):
        yield from (Span("del", went), Span("ins", came))
        return
    for same, a, b, c, d in passages:
        if same:
            yield Span("same", "".join(new[c:d]))
        else:
            yield from (Span("del", "".join(old[a:b])), Span("ins", "".join(new[c:d])))


def _key(token: str) -> str:
    """Return what a token is known by: one space after it makes no difference."""
    return token[:-1] if token[-1:] == " " and not token[-2:].isspace() else token


def _passages(
    old: Sequence[str], new: Sequence[str]
) -> list[tuple[bool, int, int, int, int]]:
    """Return passages in order: whether they are the same, and where they are."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    a, c = old[head : len(old) - tail], new[head : len(new) - tail]
    found = [(True, 0, head, 0, head)]
    counts = Counter(a), Counter(c)
    pairs = sum(number * counts[1][key] for key, number in counts[0].items())
    if 0 < pairs <= _MAX_PAIRS:
        codes = SequenceMatcher(None, a, c, autojunk=False).get_opcodes()
        found += [
            (kind == "equal", head + i, head + j, head + k, head + m)
            for kind, i, j, k, m in codes
        ]
    else:
        found.append((False, head, head + len(a), head, head + len(c)))
    ends = len(old), len(new)
    found.append((True, ends[0] - tail, ends[0], ends[1] - tail, ends[1]))
    return [each for each in found if each[2] > each[1] or each[4] > each[3]]


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many items are the same from the start."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Join changes with nothing but space between them: first what went, then came."""
    pieces = [span for span in spans if span.text]
    keyed = [
        (_is_glue(pieces, number) or span.kind != "same", span)
        for number, span in enumerate(pieces)
    ]
    for changed, group in groupby(keyed, key=lambda item: item[0]):
        run = [span for _, span in group]
        if not changed:
            yield Span("same", "".join(span.text for span in run))
            continue
        for kind in ("del", "ins"):
            joined = "".join(s.text for s in run if s.kind in (kind, "same"))
            if joined:
                yield Span(kind, joined)


def _is_glue(pieces: list[Span], at: int) -> bool:
    between = 0 < at < len(pieces) - 1
    span = pieces[at]
    return (
        between
        and span.kind == "same"
        and span.text.isspace()
        and ("\n" not in span.text)
    )


def _shortened(spans: Iterable[Span]) -> Iterator[Span]:
    """Cut the middle out of long stretches that stayed."""
    every = list(spans)
    for number, span in enumerate(every):
        if span.kind != "same":
            yield span
            continue
        head = _CONTEXT if number else 0
        tail = _CONTEXT if number < len(every) - 1 else 0
        cut = len(span.text) - head - tail
        if len(every) == 1 or cut <= _CONTEXT:
            yield span
            continue
        if head:
            yield Span("same", span.text[:head])
        yield Span("cut", f"{cut:,} characters unchanged")
        if tail:
            yield Span("same", span.text[-tail:])
