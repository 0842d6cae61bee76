"""Rows of demonstrations: where they come from, and sets of them to try."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff.evidence import Evidence
from afnio.errors import InputTypeError, InputValueError

Row: TypeAlias = list[str]
"""``[field, ..., output]``."""


def check_rows(rows: Any, fields: Sequence[str]) -> list[Row]:
    """Return rows as lists of text.

    Raises:
        InputTypeError: Not rows of text.
        InputValueError: A row is too long or too short.
    """
    if isinstance(rows, (str, Mapping)) or not isinstance(rows, Iterable):
        raise InputTypeError(
            f"pool must be a list of rows [field, ..., output], got {shorten(rows)}."
        )
    found = []
    for position, row in enumerate(rows):
        if not isinstance(row, (list, tuple)) or not all(
            isinstance(text, str) for text in row
        ):
            raise InputTypeError(
                f"pool[{position}] must be a list of texts, got {shorten(row)}."
            )
        if len(row) != len(fields) + 1:
            raise InputValueError(
                f"pool[{position}] has {len(row)} texts; expected "
                f"{', '.join(fields)} and the output."
            )
        found.append(list(row))
    return found


def harvest(
    gradients: Iterable[Variable], fields: Sequence[str], *, labels: bool
) -> list[Row]:
    """Return a row for every sample from which one can be made, in order.

    Args:
        gradients: Of the demonstrations; their evidence is read.
        fields: The inputs a row holds.
        labels: Whether the target of a failing sample may stand as its output.
    """
    rows = []
    for gradient in gradients:
        for record in gradient.evidence:
            output = _output_of(record, labels=labels)
            known = all(record.inputs.get(name) is not None for name in fields)
            if known and output:
                rows.append([*(str(record.inputs[name]) for name in fields), output])
    return rows


def _output_of(record: Evidence, *, labels: bool) -> str:
    """Return what a demonstration should show: a right answer, or else the target."""
    source = record.output if record.success else (record.target if labels else None)
    return source if isinstance(source, str) else ""


def merged(old: Iterable[Row], new: Iterable[Row], limit: int) -> list[Row]:
    """Return the latest ``limit`` rows, one for each question, the newer one if two."""
    rows: dict[tuple[str, ...], Row] = {}
    for row in (*old, *new):
        key = tuple(row[:-1])
        rows.pop(key, None)
        rows[key] = row
    return list(rows.values())[-limit:]


def random_set(rng: random.Random, pool: Sequence[Row], size: int) -> list[Row]:
    """Return ``size`` rows in random order, or all if there are fewer."""
    return rng.sample(list(pool), min(size, len(pool)))


def swapped(
    rng: random.Random, rows: Sequence[Row], pool: Sequence[Row], size: int
) -> list[Row]:
    """Return a neighbour: a row added, or one replaced, or two exchanged."""
    changed = [list(row) for row in rows][:size]
    inside = {tuple(row[:-1]) for row in changed}
    fresh = [row for row in pool if tuple(row[:-1]) not in inside]
    if fresh and len(changed) < size:
        changed.insert(rng.randint(0, len(changed)), rng.choice(fresh))
    elif fresh:
        changed[rng.randrange(len(changed))] = rng.choice(fresh)
    elif len(changed) > 1:
        one, other = rng.sample(range(len(changed)), 2)
        changed[one], changed[other] = changed[other], changed[one]
    return changed


def rng_state(rng: random.Random) -> list[Any]:
    """Return a generator's state as plain data."""
    version, numbers, gauss = rng.getstate()
    return [version, list(numbers), gauss]


def rng_from(state: Sequence[Any]) -> random.Random:
    """Return a generator with the state that `rng_state` wrote."""
    rng = random.Random()
    version, numbers, gauss = state
    rng.setstate((version, tuple(numbers), gauss))
    return rng
