"""`Dataset`, apart from its siblings because data sets and loaders both need it."""

from __future__ import annotations

from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples that can be looked up by position; subclass it with both methods.

    A plain list does as well wherever a Dataset is taken.
    """

    def __getitem__(self, index: int) -> T_co:
        """Return one sample; raise IndexError past the end."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __len__(self) -> int:
        """Return how many samples there are."""
        raise NotImplementedError(f"{type(self).__name__} must define __len__")
