"""Tasks in the form of BIG-Bench Hard: questions with one right answer."""

from __future__ import annotations

import json
import os
from pathlib import Path

from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import FileFormatError
from afnio.utils.datasets._local import LocalDataset, choose, thirds
from afnio.utils.datasets.utils import DatasetNotFoundError


class BBHTask(LocalDataset[tuple[Variable, Variable]]):
    """One task read from a file ``{"examples": [{"input": …, "target": …}]}``.

    A sample is ``(question, answer)``, both Variables, made anew each time. Parts are
    33 %, 33 % and the rest of the examples, shuffled by ``random.Random(seed)``.

    Args:
        path: The JSON file.
        split: ``"train"``, ``"val"``, ``"test"``, or ``"all"`` in the file's order.
        seed: Decides which examples are in which part.

    Raises:
        InputValueError: No such split.
        DatasetNotFoundError: The file is missing.
        FileFormatError: The file has another form.

    Source: Suzgun et al. (2022), arXiv 2210.09261; files at
    github.com/suzgunmirac/BIG-Bench-Hard.
    """

    def __init__(
        self, path: str | os.PathLike[str], split: str = "all", seed: int = 0
    ) -> None:
        self.split = choose("split", split, ("train", "val", "test", "all"))
        source = Path(path)
        records = _read(source)
        super().__init__(
            source, records if split == "all" else thirds(records, split, seed)
        )

    def __getitem__(self, index: int) -> tuple[Variable, Variable]:
        question, answer = self._record(index)
        return Variable(question, "input question"), Variable(answer, "expected answer")

    def extra_repr(self) -> str:
        """Return task and split."""
        return f"Task: {self.source.stem}\nSplit: {self.split}"


def _read(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise DatasetNotFoundError(
            f"{path} is not there. BIG-Bench Hard tasks are JSON files at "
            "github.com/suzgunmirac/BIG-Bench-Hard, folder bbh."
        )
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))["examples"]
        return [(str(item["input"]), str(item["target"])) for item in examples]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"{path} is not a BIG-Bench Hard task: {shorten(error)}. Expected "
            '{"examples": [{"input": ..., "target": ...}]}.'
        ) from error
