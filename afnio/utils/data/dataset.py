"""Datasets in memory, and splitting them without leaks."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from afnio.errors import InputValueError
from afnio.utils._dataset import Dataset
from afnio.utils.data._overlap import find_overlap

__all__ = ["Dataset", "ListDataset", "Subset", "find_overlap", "random_split"]

T = TypeVar("T")


class ListDataset(Dataset[T]):
    """Samples kept in memory, in the order given."""

    def __init__(self, samples: Iterable[T]) -> None:
        self._samples = list(samples)

    def __getitem__(self, index: int) -> T:
        return self._samples[index]

    def __len__(self) -> int:
        return len(self._samples)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} samples)"


class Subset(Dataset[T]):
    """Some samples of another dataset.

    Attributes:
        dataset: Where the samples are.
        indices: Their positions there, in the order of this dataset.
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = list(indices)

    def __getitem__(self, index: int) -> T:
        sample: T = self.dataset[self.indices[index]]
        return sample

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {len(self.dataset)} samples)"


def random_split(
    dataset: Any, lengths: Sequence[float], seed: int = 0
) -> list[Subset[Any]]:
    """Split a dataset at random into parts that share no position.

    Args:
        dataset: Anything with a length and positions.
        lengths: Sizes that add up to the whole, or fractions that add up to 1; what
            rounding leaves over goes to the first parts, one sample each.
        seed: The same seed gives the same parts, on every machine.

    Raises:
        InputValueError: The lengths do not add up.

    Examples:
        >>> [len(part) for part in random_split(range(10), [0.6, 0.2, 0.2])]
        [6, 2, 2]
    """
    sizes = _sizes(lengths, len(dataset))
    order = list(range(len(dataset)))
    random.Random(seed).shuffle(order)
    ends = [sum(sizes[: part + 1]) for part in range(len(sizes))]
    return [
        Subset(dataset, order[end - size : end])
        for size, end in zip(sizes, ends, strict=True)
    ]


def _sizes(lengths: Sequence[float], total: int) -> list[int]:
    if any(isinstance(x, bool) or not x >= 0 for x in lengths):
        raise InputValueError(f"random_split: lengths must be >= 0, got {lengths}.")
    if all(isinstance(length, int) for length in lengths):
        if sum(lengths) != total:
            raise InputValueError(
                f"random_split: sizes {lengths} add up to {sum(lengths)}, but the "
                f"dataset has {total} samples."
            )
        return [int(length) for length in lengths]
    if not math.isclose(sum(lengths), 1, abs_tol=1e-6):
        raise InputValueError(
            f"random_split: fractions {lengths} add up to {sum(lengths)}, expected 1."
        )
    sizes = [math.floor(length * total + 1e-9) for length in lengths]
    for part in range(total - sum(sizes)):
        sizes[part % len(sizes)] += 1
    return sizes
