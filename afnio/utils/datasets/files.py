"""Your own files as data sets: JSON lines and CSV."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from afnio._text import closest, shorten
from afnio.errors import FileFormatError, MissingFileError
from afnio.utils.datasets._local import LocalDataset


class _FileDataset(LocalDataset[Any]):
    _content: ClassVar[str]
    """What the file should hold."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        encoding: str = "utf-8-sig",
    ) -> None:
        self.transform = transform
        try:
            samples = list(self._read(Path(path), encoding))
        except FileNotFoundError as error:
            raise MissingFileError(
                f"there is no file {path}{_whence(Path(path))}. Pass the path of a "
                f"file that holds {self._content}."
            ) from error
        except UnicodeDecodeError as error:
            raise FileFormatError(
                f"{path} is not {encoding} text: {shorten(error)}. Save it as UTF-8, "
                "or pass encoding=…."
            ) from error
        super().__init__(Path(path), samples)

    def _read(self, path: Path, encoding: str) -> Iterator[Any]:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        record = self._record(index)
        return record if self.transform is None else self.transform(record)


def _whence(path: Path) -> str:
    """Say what a relative path is relative to, and what is there of that kind."""
    near = path.parent
    kin = (
        sorted(item.name for item in near.glob(f"*{path.suffix}"))
        if path.suffix
        else []
    )
    start = "" if path.is_absolute() else f" (seen from {Path.cwd()})"
    if not near.is_dir():
        return f"{start}: its folder does not exist"
    hint = closest(path.name, kin)
    return f"{start}; {hint.rstrip('?')}" if hint.startswith("did you") else start


class JSONLDataset(_FileDataset):
    """One sample per line of JSON; blank lines are skipped.

    Args:
        path: The file.
        transform: Makes a sample of what a line holds, such as a tuple of Variables;
            called each time a sample is looked up.
        encoding: By default UTF-8, with or without a byte order mark.

    Raises:
        MissingFileError: There is no such file.
        FileFormatError: A line is not JSON; the message says which. Or the file is not
            text in that encoding.
    """

    _content = "one JSON value per line"

    def _read(self, path: Path, encoding: str) -> Iterator[Any]:
        with path.open(encoding=encoding) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _parse(line, path, number)


def _parse(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{path}, line {number} is not JSON: {shorten(error)}"
        ) from error


class CSVDataset(_FileDataset):
    """One sample per row of a CSV file: a dict from the header's names to texts.

    Args:
        path: The file; its first row holds the names.
        transform: Makes a sample of a row's dict; called at each look-up.
        encoding: By default UTF-8, with or without a byte order mark.

    Raises:
        MissingFileError: There is no such file.
        FileFormatError: A row has another number of fields than the header, or the
            file is not text in that encoding.
    """

    _content = "CSV with a header"

    def _read(self, path: Path, encoding: str) -> Iterator[Any]:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                if None in row or None in row.values():
                    raise FileFormatError(
                        f"{path}, line {reader.line_num}: expected "
                        f"{len(reader.fieldnames or ())} fields as in the header."
                    )
                yield row
