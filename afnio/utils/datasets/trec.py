"""TREC: questions and the kind of answer that each asks for."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import FileFormatError, InputValueError
from afnio.utils.datasets._local import LocalDataset, RemoteFile, choose, find_file

_URL: Final = "https://cogcomp.seas.upenn.edu/Data/QA/QC"
_TRAIN: Final = RemoteFile(
    url=f"{_URL}/train_5500.label",
    name="train_5500.label",
    md5="073462e3fcefaae31e00edb1f18d2d02",
    sha256="9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
)
_TEST: Final = RemoteFile(
    url=f"{_URL}/TREC_10.label",
    name="TREC_10.label",
    md5="323a3554401d86e650717e2d2f942589",
    sha256="033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
)
_FOLDERS: Final = ("TREC/raw", "trec", "")
_SEED: Final = 42

Record = tuple[str, str, str]


class TREC(LocalDataset[Any]):
    """Questions with one of 6 coarse and one of 50 fine labels.

    A sample is ``(question, label)``, both Variables, made anew each time: the coarse
    label, such as ``NUM``, or the fine one, such as ``NUM:date``. Training questions
    that occur twice with the same label are kept once. Training and validation parts
    are stratified by the label of the task and shuffled by ``random.Random(42)``.

    Args:
        task: ``"coarse"`` or ``"fine"``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        validation_split: The share of the training questions that is for validation.
        root: Where data sets are kept, as for `FacilitySupport`. The label files are
            looked for in its folders ``TREC/raw`` and ``trec``, and in itself.
        download: Fetch the file (0.3 MB) if it is missing or damaged.
        path: Read this file of the same form instead.

    Raises:
        InputValueError: An argument is not as described.
        DatasetNotFoundError: The file is missing, and ``download`` is off.
        FileFormatError: The file is damaged.

    Source: Li and Roth (2002), Learning question classifiers. The documented class
    gives both labels as plain text in both tasks; here the task decides.
    """

    def __init__(
        self,
        task: str | None = None,
        split: str | None = None,
        validation_split: float = 0.0,
        root: str | os.PathLike[str] | None = None,
        download: bool = False,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.task = choose("task", task, ("coarse", "fine"))
        self.split = choose("split", split, ("train", "val", "test"))
        if not 0 <= validation_split <= 1:
            raise InputValueError(
                f"validation_split must be from 0 to 1, got {validation_split!r}."
            )
        file = _TEST if split == "test" else _TRAIN
        source = Path(path) if path else find_file(file, root, _FOLDERS, download)
        records: Sequence[Record] = _read(source)
        if split != "test":
            label = ("coarse", "fine").index(self.task) + 1
            train, val = _stratify(dict.fromkeys(records), label, validation_split)
            records = train if split == "train" else val
        super().__init__(source, records)

    def __getitem__(self, index: int) -> tuple[Variable, Variable]:
        question, coarse, fine = self._record(index)
        label = coarse if self.task == "coarse" else fine
        return (
            Variable(question, "input question"),
            Variable(label, f"output {self.task} label"),
        )

    def extra_repr(self) -> str:
        """Return task and split."""
        return f"Task: {self.task}\nSplit: {self.split}"


def _read(path: Path) -> list[Record]:
    lines = path.read_text(encoding="latin-1").splitlines()
    return [_record(line, path, n) for n, line in enumerate(lines, 1) if line.strip()]


def _record(line: str, path: Path, number: int) -> Record:
    fine, _, question = line.strip().partition(" ")
    coarse, colon, _ = fine.partition(":")
    if not (coarse and colon and question.strip()):
        raise FileFormatError(
            f"{path}, line {number}: expected 'LABEL:kind question', got "
            f"{shorten(line)!r}."
        )
    return question.strip(), coarse, fine


def _stratify(
    records: dict[Record, None], label: int, share: float
) -> tuple[list[Record], list[Record]]:
    """Split so that every label keeps its share, and shuffle both parts."""
    rng = random.Random(_SEED)
    by_label: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_label[record[label]].append(record)
    train: list[Record] = []
    val: list[Record] = []
    for name in sorted(by_label):
        group = by_label[name]
        rng.shuffle(group)
        cut = round(len(group) * share)
        val += group[:cut]
        train += group[cut:]
    rng.shuffle(train)
    rng.shuffle(val)
    return train, val
