"""Collation: many samples become one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afnio._text import describe, shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError


def default_collate(batch: Sequence[Any], merge_variables: bool = False) -> Any:
    """Turn a list of samples into a batch of the same structure.

    | samples           | batch                                                   |
    | ----------------- | ------------------------------------------------------- |
    | Variables         | one Variable: role, ``requires_grad`` are of the first  |
    | tuples            | a tuple of batches, one per field                       |
    | dicts             | a dict of lists; Variables in them are not merged       |
    | tuples and others | a list; each tuple is a batch of its own                |
    | anything else     | the list itself                                         |

    Args:
        batch: The samples, one or more.
        merge_variables: Also collate the values of dicts. Pass
            ``functools.partial(default_collate, merge_variables=True)`` to a loader.

    Raises:
        InputValueError: Tuples differ in length, or dicts in keys.
        InputTypeError: Variables hold text in one sample and numbers in another.

    Examples:
        >>> default_collate([("a", 1), ("b", 2)])
        (['a', 'b'], [1, 2])
    """
    if all(isinstance(sample, Variable) for sample in batch):
        return _variables(batch)
    if all(isinstance(sample, dict) for sample in batch):
        return _dicts(batch, merge_variables)
    if all(isinstance(sample, tuple) for sample in batch):
        return collate_tuple(batch, merge_variables)
    return [
        collate_tuple([sample], merge_variables)
        if isinstance(sample, tuple)
        else sample
        for sample in batch
    ]


def collate_tuple(
    batch: Sequence[tuple[Any, ...]], merge_variables: bool = False
) -> tuple[Any, ...]:
    """Turn a list of tuples into a tuple of batches, one per field.

    Raises:
        InputValueError: The tuples differ in length.
    """
    first = batch[0]
    for position, sample in enumerate(batch):
        if len(sample) != len(first):
            raise InputValueError(
                f"cannot collate: sample {position} of the batch has {len(sample)} "
                f"fields and sample 0 has {len(first)}: {shorten(sample)}. Make them "
                "alike, or pass a collate_fn."
            )
    columns = zip(*batch, strict=True)
    fields = [default_collate(list(column), merge_variables) for column in columns]
    if hasattr(first, "_make"):
        named: tuple[Any, ...] = type(first)._make(fields)
        return named
    return tuple(fields)


def _variables(batch: Sequence[Variable]) -> Variable:
    first = batch[0]
    data = [sample.data for sample in batch]
    try:
        return Variable(data, first.role, first.requires_grad)
    except InputTypeError as error:
        kinds = ", ".join(dict.fromkeys(map(describe, data)))
        raise InputTypeError(
            f"cannot collate Variables (role {shorten(first.role)!r}) that hold "
            f"different kinds of data ({kinds}): make them all text or all numbers, or "
            "pass a collate_fn."
        ) from error


def _dicts(batch: Sequence[dict[Any, Any]], merge_variables: bool) -> dict[Any, Any]:
    keys = batch[0].keys()
    for position, sample in enumerate(batch):
        if sample.keys() != keys:
            raise InputValueError(
                f"cannot collate: sample {position} of the batch has the keys "
                f"{shorten(list(sample))} and sample 0 has {shorten(list(keys))}."
            )
    columns = {key: [sample[key] for sample in batch] for key in keys}
    if not merge_variables:
        return columns
    return {
        key: default_collate(items, merge_variables) for key, items in columns.items()
    }
