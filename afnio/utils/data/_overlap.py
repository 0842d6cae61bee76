"""Samples that two datasets share: the same ones, and nearly the same."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final

from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError

_WORD: Final = re.compile(r"\w+")
_SPAN: Final = 3
"""Words in one of the overlapping pieces that texts are compared by."""


def find_overlap(
    first: Any,
    second: Any,
    key: Callable[[Any], Hashable] | None = None,
    near: float | None = None,
) -> list[tuple[int, int]]:
    """List which samples of two datasets are the same, as pairs of positions.

    A test set that shares samples with the training set measures memory, not skill.

    Args:
        first: A dataset.
        second: Another one.
        key: What makes two samples the same, such as the input text; by default all
            of the sample, Variables compared by their data.
        near: Also list pairs that are nearly the same: the share, above 0 and up to 1,
            of three-word pieces that two texts must have in common, whatever the case
            and punctuation. 0.8 finds changed names and numbers.

    Raises:
        InputTypeError: ``key`` returns something that cannot be hashed.
        InputValueError: ``near`` is no such share.

    Examples:
        >>> find_overlap(["a", "b"], ["c", "a"])
        [(0, 1)]
        >>> find_overlap(["Is it far to Rome?"], ["is it far to Rome"], near=0.8)
        [(0, 0)]
    """
    if near is not None and not (isinstance(near, (int, float)) and 0 < near <= 1):
        raise InputValueError(
            f"near is {near!r}; expected a number above 0 and up to 1."
        )
    make = _content if key is None else key
    mine = [_hashable(make(first[index])) for index in range(len(first))]
    theirs = [_hashable(make(second[index])) for index in range(len(second))]
    positions: dict[Hashable, list[int]] = defaultdict(list)
    for index, content in enumerate(mine):
        positions[content].append(index)
    found = {
        (own, index)
        for index, content in enumerate(theirs)
        for own in positions.get(content, ())
    }
    return sorted(found if near is None else found | set(_nearly(mine, theirs, near)))


def _nearly(
    mine: list[Hashable], theirs: list[Hashable], share: float
) -> Iterator[tuple[int, int]]:
    """Yield pairs whose pieces overlap enough (Jaccard's index)."""
    pieces = [_pieces(content) for content in mine]
    holders: dict[Hashable, list[int]] = defaultdict(list)
    for position, own_pieces in enumerate(pieces):
        for piece in own_pieces:
            holders[piece].append(position)
    for index, content in enumerate(theirs):
        other = _pieces(content)
        common = Counter(own for piece in other for own in holders.get(piece, ()))
        for own, count in common.items():
            if count >= share * (len(pieces[own]) + len(other) - count):
                yield own, index


def _pieces(content: Hashable) -> set[tuple[str, ...]]:
    words = _WORD.findall(str(content).casefold())
    last = max(1, len(words) - _SPAN + 1)
    return {tuple(words[start : start + _SPAN]) for start in range(last)} - {()}


def _hashable(key: Any) -> Hashable:
    try:
        hash(key)
    except TypeError as error:
        raise InputTypeError(
            f"find_overlap: key must return something hashable, got {shorten(key)}."
        ) from error
    return key  # type: ignore[no-any-return]


def _content(sample: Any) -> Hashable:
    if isinstance(sample, Variable):
        return _content(sample.data)
    if isinstance(sample, dict):
        return tuple(sorted((repr(key), _content(sample[key])) for key in sample))
    if isinstance(sample, (list, tuple)):
        return tuple(_content(item) for item in sample)
    return repr(sample)
