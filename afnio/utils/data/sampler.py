"""Samplers: the order in which a dataset is visited.

A random sampler owns its randomness. The order of an epoch depends on its seed and the
number of the epoch and on nothing else: epochs differ, runs repeat, and the global
`random` state is neither read nor changed.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from numbers import Real
from typing import Any, Generic, TypeVar

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """An iterable of positions; subclass it with ``__iter__`` and maybe ``__len__``."""

    def __init__(self, data_source: Any = None) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[T_co]:
        """Start an epoch."""
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on as this sampler would."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the sampler of ``state`` was."""
        del state


class SequentialSampler(Sampler[int]):
    """Every position, in order."""

    def __init__(self, data_source: Sized) -> None:
        super().__init__(data_source)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _SeededSampler(Sampler[int]):
    """A sampler whose every epoch has its own order.

    Attributes:
        seed: The seed given, or one drawn from the system.
        epoch: The number of the epoch that starts next.
    """

    def __init__(self, data_source: Any, seed: int | None) -> None:
        super().__init__(data_source)
        if seed is not None and not isinstance(seed, int):
            raise InputTypeError(
                f"seed must be an int or None, got {type(seed).__name__}."
            )
        self.seed = random.SystemRandom().getrandbits(48) if seed is None else seed
        self.epoch = 0

    def order(self, epoch: int) -> Iterator[int]:
        """Return the positions of one epoch; asking changes nothing."""
        return self._draw(random.Random(f"{self.seed}/{epoch}"))

    def _draw(self, rng: random.Random) -> Iterator[int]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.order(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the seed and the number of the next epoch."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over seed and epoch.

        Raises:
            InputValueError: ``state`` does not come from such a sampler.
        """
        seed, epoch = state.get("seed"), state.get("epoch")
        if not isinstance(seed, int) or not isinstance(epoch, int):
            raise InputValueError(
                f"{type(self).__name__}.load_state_dict needs 'seed' and 'epoch', got "
                f"{shorten(dict(state))}."
            )
        self.seed, self.epoch = seed, epoch


class RandomSampler(_SeededSampler):
    """Positions at random.

    Args:
        data_source: What is sampled from; only its length matters.
        replacement: Draw every position from all of them, so that some repeat.
        num_samples: How many to draw, by default the length. Beyond the length, and
            without replacement, whole permutations follow one another.
        seed: Orders repeat from run to run with the same seed.

    Raises:
        InputTypeError: ``replacement`` is not a bool.
        InputValueError: ``num_samples`` is not a positive int, or there is no data.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(data_source, seed)
        if not isinstance(replacement, bool):
            raise InputTypeError(
                f"RandomSampler: replacement must be a bool, got {replacement!r}."
            )
        self.replacement = replacement
        self._num_samples = num_samples
        if len(data_source) == 0:
            raise InputValueError("RandomSampler: there is no data to sample from.")
        _check_count("RandomSampler", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many positions an epoch has."""
        given = self._num_samples
        return len(self.data_source) if given is None else given

    def _draw(self, rng: random.Random) -> Iterator[int]:
        size = len(self.data_source)
        if self.replacement:
            return iter(rng.choices(range(size), k=self.num_samples))
        return itertools.islice(_permutations(rng, size), self.num_samples)

    def __len__(self) -> int:
        return self.num_samples


def _permutations(rng: random.Random, size: int) -> Iterator[int]:
    while size:
        order = list(range(size))
        rng.shuffle(order)
        yield from order


class WeightedRandomSampler(_SeededSampler):
    """Positions at random, each as likely as its weight says.

    Args:
        weights: One per position, >= 0, not all 0; they need not add up to 1.
        num_samples: How many positions an epoch has.
        replacement: Draw each time from all positions. Otherwise each draw is from
            those that are left, and weight 0 is drawn only when nothing else is left.
        seed: Orders repeat from run to run with the same seed.

    Raises:
        InputValueError: An argument is not as described, or without replacement there
            are fewer weights than samples.

    Source: without replacement, Efraimidis and Spirakis (2006), Weighted random
    sampling with a reservoir: sorting by log(u)/weight equals drawing one by one.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(None, seed)
        _check_count("WeightedRandomSampler", num_samples)
        if not isinstance(replacement, bool):
            raise InputValueError(
                f"WeightedRandomSampler: replacement must be a bool, got "
                f"{replacement!r}."
            )
        self.weights = _check_weights(weights)
        if not replacement and num_samples > len(self.weights):
            raise InputValueError(
                f"WeightedRandomSampler: cannot draw {num_samples} samples from "
                f"{len(self.weights)} without replacement."
            )
        self.num_samples = num_samples
        self.replacement = replacement

    def _draw(self, rng: random.Random) -> Iterator[int]:
        positions = range(len(self.weights))
        top = max(self.weights)
        weights = [weight / top for weight in self.weights]  # their sum stays finite
        if self.replacement:
            return iter(rng.choices(positions, weights, k=self.num_samples))
        keys = [_key(weight, 1 - rng.random()) for weight in weights]
        first = sorted(positions, key=keys.__getitem__, reverse=True)
        return iter(first[: self.num_samples])

    def __len__(self) -> int:
        return self.num_samples


def _key(weight: float, uniform: float) -> tuple[bool, float]:
    """Return what sorts a weighted draw; positions of weight 0 come last, at random."""
    return (weight > 0, math.log(uniform) / weight if weight > 0 else uniform)


def _check_weights(weights: Any) -> list[float]:
    values = list(weights) if isinstance(weights, Iterable) else []
    if not values or not all(isinstance(weight, Real) for weight in values):
        raise InputValueError(
            "WeightedRandomSampler: weights must be a sequence of one number or more, "
            f"got {shorten(weights)}."
        )
    numbers = [float(weight) for weight in values]
    bad = [w for w in numbers if not (w >= 0 and math.isfinite(w))]
    if bad or not any(numbers):
        raise InputValueError(
            "WeightedRandomSampler: weights must be finite, >= 0 and not all 0, got "
            f"{shorten(bad or numbers)}."
        )
    return numbers


def _check_count(sampler: str, count: Any) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count <= 0:
        raise InputValueError(
            f"{sampler}: num_samples must be an int of 1 or more, got {count!r}."
        )


class BatchSampler(Sampler[list[int]]):
    """Groups the positions of another sampler into batches.

    Args:
        sampler: Any iterable of positions.
        batch_size: How many positions a batch has; the last one may have fewer.
        drop_last: Leave out a last batch that is not full.
    """

    def __init__(
        self, sampler: Iterable[int], batch_size: int, drop_last: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(batch_size, int) or isinstance(batch_size, bool):
            raise InputTypeError(
                f"batch_size must be an int, got {type(batch_size).__name__}."
            )
        if batch_size <= 0:
            raise InputValueError(f"batch_size must be 1 or more, got {batch_size}.")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = bool(drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        return _batched(iter(self.sampler), self.batch_size, self.drop_last)

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type] # TypeError says it has none
        return (
            count // self.batch_size if self.drop_last else -(-count // self.batch_size)
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the sampler inside, if it has one."""
        return state_of(self.sampler)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Hand the state to the sampler inside, if it takes one."""
        restore(self.sampler, state)


def _batched(items: Iterator[Any], size: int, drop_last: bool) -> Iterator[list[Any]]:
    while batch := list(itertools.islice(items, size)):
        if len(batch) == size or not drop_last:
            yield batch


def state_of(source: Any) -> dict[str, Any]:
    """Return the state of a sampler that has one, else an empty one."""
    method = getattr(source, "state_dict", None)
    return dict(method()) if callable(method) else {}


def restore(source: Any, state: Mapping[str, Any]) -> None:
    """Give a sampler its state back, if it has any."""
    method = getattr(source, "load_state_dict", None)
    if callable(method) and state:
        method(state)
