"""FacilitySupport: e-mails to a facility service, to be sorted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import FileFormatError
from afnio.utils.datasets._local import (
    LocalDataset,
    RemoteFile,
    choose,
    find_file,
    thirds,
)

_FILE: Final = RemoteFile(
    url=(
        "https://raw.githubusercontent.com/meta-llama/llama-prompt-ops/refs/heads/main/"
        "use-cases/facility-support-analyzer/dataset.json"
    ),
    name="dataset.json",
    md5="530dc66b1b07c9b15b19f08891e9bfa0",
    sha256="ef148f95bd89113982079250addfe96dc0015b6d375ea63e0450ff6751860440",
)
_FOLDERS: Final = ("FacilitySupport/raw", "facility_support", "")
_SEED: Final = 0

Sample = tuple[Variable, tuple[Variable, Variable, Variable]]


class FacilitySupport(LocalDataset[Sample]):
    """200 e-mails with their urgency, sentiment and categories.

    A sample is ``(message, (urgency, sentiment, categories))``, all Variables, made
    anew each time. Categories are the JSON text of ten named booleans. The order is
    that of the file shuffled by ``random.Random(0)``; the first 66 samples are for
    training, the next 66 for validation, the last 68 for testing.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        root: Where data sets are kept, by default ``$AFNIO_DATA``, else
            ``~/.cache/afnio/datasets``. ``dataset.json`` is looked for in its folders
            ``FacilitySupport/raw`` and ``facility_support``, and in itself.
        download: Fetch the file (MIT licence, 0.3 MB) if it is missing or damaged.
        path: Read this file of the same form instead, or the one in this folder.

    Raises:
        InputValueError: No such split.
        DatasetNotFoundError: The file is missing, and ``download`` is off.
        FileFormatError: The file is damaged.

    Source: meta-llama/prompt-ops, use-cases/facility-support-analyzer.
    """

    def __init__(
        self,
        split: str,
        root: str | os.PathLike[str] | None = None,
        download: bool = False,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.split = choose("split", split, ("train", "val", "test"))
        if path is None:
            source = find_file(_FILE, root, _FOLDERS, download)
        else:
            source = Path(path) / _FILE.name if Path(path).is_dir() else Path(path)
        super().__init__(source, thirds(_read(source), split, _SEED))

    def __getitem__(self, index: int) -> Sample:
        message, urgency, sentiment, categories = self._record(index)
        return Variable(message, "input email or message"), (
            Variable(urgency, "output urgency"),
            Variable(sentiment, "output sentiment"),
            Variable(categories, "output categories"),
        )

    def extra_repr(self) -> str:
        """Return the split."""
        return f"Split: {self.split}"


def _read(path: Path) -> list[tuple[str, str, str, str]]:
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
        return [_record(item) for item in items]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"{path} is not a file of facility support messages: {shorten(error)}. "
            "Expected a list of objects with fields.input and answer."
        ) from error


def _record(item: Mapping[str, Any]) -> tuple[str, str, str, str]:
    answer = json.loads(item["answer"])
    return (
        str(item["fields"]["input"]),
        str(answer["urgency"]),
        str(answer["sentiment"]),
        json.dumps(answer["categories"]),
    )
