"""DataLoader: batches of a dataset, in an order that can be resumed."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from afnio._dispatch import in_thread, spawn
from afnio._hints import hinted
from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.utils._dataset import Dataset
from afnio.utils.data._collate import collate_tuple, default_collate
from afnio.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    restore,
    state_of,
)

__all__ = ["DataLoader", "collate_tuple", "default_collate"]


@hinted(data="dataset", num_workers="prefetch")
class DataLoader:
    """Batches of a dataset.

    Every ``iter`` starts an epoch of its own, so loops over one loader may nest.
    `state_dict` and `load_state_dict` continue an interrupted epoch at its next batch,
    in the same order.

    Args:
        dataset: Anything with a length and positions (a Dataset, a list, …), or any
            other iterable, which is read in its own order.
        batch_size: Samples in a batch; ``None`` gives the samples themselves.
        shuffle: Visit the dataset in a new random order every epoch.
        sampler: Any iterable of positions; excludes ``shuffle``.
        drop_last: Leave out a last batch that is not full.
        seed: Makes the orders of ``shuffle`` repeat from run to run.
        collate_fn: Makes a batch of a list of samples; by default `default_collate`.
            Without a batch size it is given each sample.
        batch_sampler: Any iterable of lists of positions; excludes the above but
            ``dataset`` and ``collate_fn``.
        prefetch: How many batches to look up ahead, each on a thread of its own, while
            the loop is busy with earlier ones. For data sets that read files or ask a
            server; they and ``collate_fn`` must then be safe to call from threads. The
            order, and what `state_dict` says, stay the same.

    Raises:
        InputValueError: The arguments exclude one another, ``batch_size`` < 1, or
            ``prefetch`` < 0.
        InputTypeError: An argument is of the wrong kind.

    Examples:
        >>> list(DataLoader(range(5), batch_size=2))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        drop_last: bool = False,
        seed: int | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        prefetch: int = 0,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.prefetch = _count("prefetch", prefetch)
        as_it_is = batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (_same if as_it_is else default_collate)
        self._by_position = _has_positions(dataset)
        _check_exclusions(self, shuffle, sampler, batch_sampler)
        self.sampler = self._order(shuffle, sampler, seed)
        self.batch_sampler: Iterable[Any] = self.sampler
        if batch_sampler is not None:
            self.batch_sampler = batch_sampler
        elif batch_size is not None:
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        self._used = False
        self._epoch = 0
        self._skip = 0
        self._newest: _Epoch | None = None

    def _order(
        self, shuffle: bool, sampler: Iterable[int] | None, seed: int | None
    ) -> Iterable[Any]:
        """Return what decides the order: for an iterable, the dataset itself."""
        if sampler is not None:
            return sampler
        if not self._by_position:
            return cast("Iterable[Any]", self.dataset)
        if shuffle:
            return RandomSampler(self.dataset, seed=seed)
        return SequentialSampler(self.dataset)

    def __iter__(self) -> Iterator[Any]:
        """Start an epoch, or go on with the one that `load_state_dict` has set."""
        state = state_of(self.batch_sampler)
        sources = (self.sampler, self.batch_sampler)
        if self._used and any(isinstance(source, Iterator) for source in sources):
            raise StateError(
                "the dataset or sampler is an iterator, which can be used only once; "
                "give the loader a list, or an iterable that starts again."
            )
        batches = iter(self.batch_sampler)
        self._newest = _Epoch(self, self._epoch, state, batches, self._skip)
        self._used = True
        self._epoch, self._skip = self._epoch + 1, 0
        return self._newest

    def __len__(self) -> int:
        """Return how many batches an epoch has.

        Raises:
            TypeError: The sampler or iterable dataset has no length.
        """
        try:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        except NotImplementedError as error:  # from Dataset; list() asks, and expects:
            raise TypeError(str(error)) from error

    def state_dict(self) -> dict[str, Any]:
        """Return where the newest iterator stands: epoch, batch, and sampler.

        After the last batch and before the loop notices, that is the end of the epoch;
        once the loop is over, it is the start of the next one.
        """
        newest = self._newest
        if newest is None or newest.finished:
            state = state_of(self.batch_sampler)
            return {"epoch": self._epoch, "batch": self._skip, "sampler": state}
        return {
            "epoch": newest.number,
            "batch": newest.position,
            "sampler": newest.sampler_state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iterator go on where the loader of ``state`` was.

        A sampler without ``state_dict`` must give the same order again by itself.

        Raises:
            InputValueError: ``state`` does not come from a loader.
        """
        epoch, batch = state.get("epoch"), state.get("batch")
        sampler = state.get("sampler")
        if (
            not isinstance(epoch, int)
            or not isinstance(batch, int)
            or not isinstance(sampler, Mapping)
        ):
            raise InputValueError(
                "DataLoader.load_state_dict needs 'epoch', 'batch' and 'sampler', got "
                f"{shorten(dict(state))}."
            )
        restore(self.batch_sampler, sampler)
        self._epoch, self._skip, self._newest = epoch, batch, None

    def _fetch(self, indices: Any) -> Any:
        """Return the batch of these positions, or the samples already in hand."""
        if not self._by_position:
            return self.collate_fn(indices)
        if self.batch_sampler is self.sampler:
            return self.collate_fn(self.dataset[indices])
        return self.collate_fn(self._samples(indices))

    def _samples(self, indices: list[int]) -> list[Any]:
        for index in indices:
            if isinstance(index, (list, tuple)):
                raise InputTypeError(
                    f"the sampler gave {shorten(index)} where one position was "
                    "expected; pass samplers of whole batches as batch_sampler."
                )
        many = getattr(self.dataset, "__getitems__", None)
        if callable(many):
            return list(many(list(indices)))
        return [self.dataset[index] for index in indices]


class _Epoch(Iterator[Any]):
    """One pass over a loader, independent of every other."""

    def __init__(
        self,
        loader: DataLoader,
        number: int,
        sampler_state: dict[str, Any],
        batches: Iterator[Any],
        skip: int,
    ) -> None:
        self.number = number
        self.sampler_state = sampler_state
        self.position = skip
        self.finished = False
        self._loader = loader
        self._batches = itertools.islice(batches, skip, None)
        self._ahead: deque[tuple[Any, Callable[[], Any]]] = deque()

    def __next__(self) -> Any:
        for indices in itertools.islice(
            self._batches, 1 + self._loader.prefetch - len(self._ahead)
        ):
            self._ahead.append((indices, self._started(indices)))
        if not self._ahead:
            self.finished = True
            raise StopIteration
        indices, fetch = self._ahead.popleft()
        try:
            batch = fetch()
        except Exception as error:
            error.add_note(f"in batch {self.position}: positions {shorten(indices)}")
            raise
        self.position += 1
        return batch

    def _started(self, indices: Any) -> Callable[[], Any]:
        """Return what gives the batch; with prefetch it is on its way already."""
        if not self._loader.prefetch:
            return functools.partial(self._loader._fetch, indices)
        return spawn(in_thread(self._loader._fetch, indices)).result


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputTypeError(f"{name} must be an int, got {value!r}.")
    if value < 0:
        raise InputValueError(f"{name} must be 0 or more, got {value}.")
    return value


def _same(sample: Any) -> Any:
    return sample


def _has_positions(dataset: Any) -> bool:
    """Whether samples are looked up by position; if not, they are iterated."""
    lookup = getattr(type(dataset), "__getitem__", Dataset.__getitem__)
    if lookup is not Dataset.__getitem__ and hasattr(dataset, "__len__"):
        return True
    if isinstance(dataset, Iterable):
        return False
    raise InputTypeError(
        "dataset must be an iterable, or have __getitem__ and __len__; got "
        f"{type(dataset).__name__}."
    )


def _check_exclusions(
    loader: DataLoader, shuffle: Any, sampler: Any, batch_sampler: Any
) -> None:
    if not isinstance(shuffle, bool):
        raise InputValueError(f"shuffle must be True or False, got {shuffle!r}.")
    if shuffle and sampler is not None:
        raise InputValueError(
            "sampler and shuffle exclude one another: the sampler decides the order."
        )
    sampled = sampler is not None or batch_sampler is not None
    if not loader._by_position and (shuffle or sampled):
        raise InputValueError(
            f"a {type(loader.dataset).__name__} has no positions, so it cannot be "
            "shuffled or sampled; make it a list first."
        )
    decided = shuffle or sampler is not None or loader.drop_last
    if batch_sampler is not None and (decided or loader.batch_size != 1):
        raise InputValueError(
            "batch_sampler excludes batch_size, shuffle, sampler and drop_last: it "
            "decides which positions form a batch."
        )
    if loader.batch_size is None and loader.drop_last:
        raise InputValueError("drop_last needs a batch_size: without, none is partial.")
