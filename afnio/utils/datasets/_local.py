"""What the ready-made data sets share: finding their files, and how they print."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from afnio.errors import FileFormatError, InputValueError
from afnio.utils._dataset import Dataset
from afnio.utils.datasets.utils import (
    DatasetNotFoundError,
    calculate_sha256,
    data_root,
    download_url,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that a data set is made of."""

    url: str
    name: str
    md5: str
    sha256: str


class LocalDataset(Dataset[T]):
    """Samples read from a file; positions run from 0 to the length, never negative."""

    def __init__(self, source: Path, samples: Sequence[Any]) -> None:
        self.source = source
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def _record(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(
                f"{type(self).__name__} has positions 0 to {len(self) - 1}, got {index}"
            )
        return self._samples[index]

    def extra_repr(self) -> str:
        """Return further lines for `repr`."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}", f"Root location: {self.source}"]
        lines += filter(None, self.extra_repr().splitlines())
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])


def choose(name: str, value: Any, known: Sequence[str]) -> str:
    """Return ``value`` if it is one of the known ones.

    Raises:
        InputValueError: It is not; the message lists them.
    """
    if value not in known:
        raise InputValueError(
            f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}."
        )
    return str(value)


def thirds(samples: Sequence[T], split: str, seed: int) -> list[T]:
    """Return the train (33 %), val (33 %) or test (the rest) part, shuffled by seed."""
    order = list(samples)
    random.Random(seed).shuffle(order)
    first, second = int(len(order) * 0.33), int(len(order) * 0.66)
    parts = {"train": order[:first], "val": order[first:second], "test": order[second:]}
    return parts[split]


def find_file(
    file: RemoteFile,
    root: str | os.PathLike[str] | None,
    folders: Sequence[str],
    download: bool,
) -> Path:
    """Return the path of a data set's file; download it only if asked to.

    Args:
        file: What is looked for.
        root: Where data sets are kept, or the file itself.
        folders: The folders below ``root`` to look in. Downloads go to the first.
        download: Whether a missing or damaged file may be downloaded.

    Raises:
        DatasetNotFoundError: It is in none of them.
        FileFormatError: It is there, but is another file than expected.
    """
    base = data_root(root)
    places = [base] if base.is_file() else [base / f / file.name for f in folders]
    found = next((place for place in places if place.is_file()), None)
    if found is not None and calculate_sha256(found) == file.sha256:
        return found
    if download and not base.is_file():
        return download_url(
            file.url, places[0].parent, file.name, file.md5, file.sha256
        )
    if found is None:
        raise DatasetNotFoundError(
            f"{file.name} is not in {places[0].parent}. Pass download=True to fetch it "
            f"from {file.url}, or put it there yourself (root= or $AFNIO_DATA names "
            "another folder)."
        )
    raise FileFormatError(
        f"{found} has another sha256 than {file.name} should have: it is damaged or "
        "another version. Pass download=True to replace it, or path= to use it as it "
        "is."
    )
