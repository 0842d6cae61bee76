"""United changes: what several new versions of one text change, all in one text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

_UNIT: Final = re.compile(r"(\s*)(\S.*?)(?=\n|(?<=[.!?])\s|\s*\Z)", re.DOTALL)
"""White space, and the sentence or line after it."""

_LONG: Final = 1_000_000
"""Pairs of units above which those that occur often are not looked for."""

_FORM: Final = re.compile(r"[`<{\[]|\W*\Z")
"""How lines of code, tags and JSON start; they mean something together only."""

_Unit = tuple[str, str]


def united(base: str, versions: Iterable[str]) -> str:
    r"""Return ``base`` with the changes of all versions, as far as they go together.

    Texts are compared by sentences and lines. What several versions insert at one place
    stands there one after the other, what they have in common only once; a sentence
    that several change is changed as the first of them does. An insertion with code,
    tags or JSON in it is made as a whole, or not at all if nothing in it is new.

    Examples:
        >>> united("Be kind.", ["Be kind.\nBe brief.", "Be kind.\nSay please."])
        'Be kind.\nBe brief.\nSay please.'
    """
    units, rest = _split(base)
    changes = _Changes(frozenset(map(_words, units)))
    for version in versions:
        for start, end, new in _differences(units, _split(version)[0]):
            changes.add(start, end, new)
    return "".join(space + words for space, words in changes.made(units)) + rest


@dataclass(slots=True)
class _Changes:
    """What to insert before a unit, and what to put in its place."""

    known: frozenset[str]
    """The words of the units there are."""
    inserted: dict[int, list[_Unit]] = field(default_factory=dict)
    replaced: dict[int, list[_Unit]] = field(default_factory=dict)

    def add(self, start: int, end: int, new: list[_Unit]) -> None:
        """Add a change, unless another one has been made to the same units."""
        if start == end:
            here = self.inserted.setdefault(start, [])
            seen = self.known | set(map(_words, here))
            fresh = [unit for unit in new if _words(unit) not in seen]
            here += new if fresh and any(map(_is_form, new)) else fresh
        elif self.replaced.keys().isdisjoint(range(start, end)):
            self.replaced |= {place: [] for place in range(start, end)}
            self.replaced[start] = new

    def made(self, units: Sequence[_Unit]) -> list[_Unit]:
        """Return the units with the changes made."""
        found: list[_Unit] = []
        for place, unit in enumerate(units):
            found += self.inserted.get(place, [])
            found += self.replaced.get(place, [unit])
        found += self.inserted.get(len(units), [])
        return [
            (space or "\n" if number else units[0][0] if units else space, words)
            for number, (space, words) in enumerate(found)
        ]


def count_units(text: str) -> int:
    """Return how many sentences and lines a text has."""
    return len(_split(text)[0])


def shortened(text: str, place: int) -> str:
    r"""Return a text without one of its sentences or lines, counted from 0.

    Examples:
        >>> shortened("Be kind. Be brief.\nShout.", 1)
        'Be kind.\nShout.'
    """
    units, rest = _split(text)
    changes = _Changes(frozenset())
    changes.add(place, place + 1, [])
    return "".join(space + words for space, words in changes.made(units)) + rest


def _split(text: str) -> tuple[list[_Unit], str]:
    """Return a text's units, and the white space after the last one."""
    found = list(_UNIT.finditer(text))
    end = found[-1].end() if found else 0
    return [(unit[1], unit[2]) for unit in found], text[end:]


def _words(unit: _Unit) -> str:
    return " ".join(unit[1].split())


def _is_form(unit: _Unit) -> bool:
    return _FORM.match(unit[1]) is not None


def _differences(
    old: Sequence[_Unit], new: Sequence[_Unit]
) -> Iterable[tuple[int, int, list[_Unit]]]:
    """Yield what is replaced by what: start, end, and the new units."""
    before, after = list(map(_words, old)), list(map(_words, new))
    least = min(len(before), len(after))
    same = takewhile(lambda place: before[place] == after[place], range(least))
    head = sum(1 for _ in same)
    ends = range(1, least - head + 1)
    tail = sum(1 for _ in takewhile(lambda n: before[-n] == after[-n], ends))
    left, right = before[head : len(before) - tail], after[head : len(after) - tail]
    long = len(left) * len(right) > _LONG
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=long)
    for kind, start, end, first, last in matcher.get_opcodes():
        if kind != "equal":
            yield start + head, end + head, list(new[first + head : last + head])
