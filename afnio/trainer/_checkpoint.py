"""Checkpoints: the best and the last state of a fit, written in one step each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from afnio import serialization
from afnio._dispatch import in_thread
from afnio._files import write_atomic
from afnio._state.encode import fragment
from afnio._text import describe
from afnio.errors import InputTypeError, InputValueError
from afnio.models._counts import DIGEST_BYTES
from afnio.models._sampling import restore_samples, sample_mark
from afnio.optim import Optimizer
from afnio.optim.records import StepRecord
from afnio.trainer._checked import check_checkpoint

BEST_FILE: Final = "best.json"
LAST_FILE: Final = "last.json"
_FILES: Final = {"best": BEST_FILE, "last": LAST_FILE}

SAMPLES_FILE: Final = "samples.bin"
"""Questions asked under a cache, eight bytes each; checkpoints say how many count."""

GRACE_S: Final = 0.02
"""Seconds that a checkpoint is held back for the next step's calls to go out."""


class Encoded:
    """What optimizers have decided, encoded once for all the checkpoints it is in.

    A decision never changes, so that a step costs what it adds, not what there is.
    """

    def __init__(self) -> None:
        self._parts: dict[int, tuple[StepRecord, Any]] = {}

    def state_of(self, optimizer: Any) -> Any:
        """Return an optimizer's ``state_dict()``, its history ready to be written."""
        if not isinstance(optimizer, Optimizer):
            return optimizer.state_dict()
        with _without_history(optimizer) as records:
            state = optimizer.state_dict()
        return {**state, "history": [self._part(record) for record in records]}

    def _part(self, record: StepRecord) -> Any:
        known = self._parts.get(id(record))
        if known is None or known[0] is not record:
            part: Any = record.to_dict()
            with suppress(InputValueError):  # it holds more than plain values
                part = fragment(part)
            known = self._parts[id(record)] = (record, part)
        return known[1]


@contextmanager
def _without_history(optimizer: Optimizer) -> Iterator[list[StepRecord]]:
    """Take the records out while the rest of the state is read: they are many."""
    records, optimizer.history = optimizer.history, []
    try:
        yield records
    finally:
        optimizer.history = records


class Checkpoints:
    """The two checkpoint files of a Trainer.

    Args:
        folder: Where they are; made when the first one is written.
        enabled: Whether anything is to be written at all; callers look at it.
        higher_is_better: Whether high values of the monitored metric are good.
    """

    def __init__(self, folder: Path, *, enabled: bool, higher_is_better: bool) -> None:
        self._folder = folder.absolute()
        self.enabled = enabled
        self._sign = 1 if higher_is_better else -1
        self.best_score: float | None = None
        self.best_path: Path | None = None
        self.last_path: Path | None = None
        self._writing: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._samples_mode: Literal["ab", "wb"] = "wb"

    @property
    def last_file(self) -> Path:
        """Where the state of the last step is written."""
        return self._folder / LAST_FILE

    def go_on_from(self, file: Path, best_score: float | None) -> None:
        """Take over the files of a fit that is resumed, until newer ones are written.

        Args:
            file: The checkpoint it is resumed from; the best one is beside it.
            best_score: The score of the best one.
        """
        best = file.parent / BEST_FILE
        self.last_path, self.best_score = file, best_score
        self.best_path = best if best.is_file() else None

    async def restore_samples(self, source: Path, mark: int) -> None:
        """Count questions on from a checkpoint's mark, under the cache in force.

        Args:
            source: The folder that the checkpoint is in.
            mark: Questions asked when it was made.

        Raises:
            FileFormatError: The file beside the checkpoint is gone, or too short.
        """
        if not sample_mark() and not mark:
            return
        log = await in_thread(_read_samples, source / SAMPLES_FILE)
        restore_samples(log, mark)
        if self.enabled:
            await in_thread(self._keep_samples, log[: mark * DIGEST_BYTES])

    def _keep_samples(self, log: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._folder / SAMPLES_FILE, log)
        self._samples_mode = "ab"

    def beats_best(self, score: float | None) -> bool:
        """Whether ``score`` is at least as good as the best so far, and note it."""
        if score is None or math.isnan(score):
            return False
        best = self.best_score
        if best is not None and score * self._sign < best * self._sign:
            return False
        self.best_score = score
        return True

    async def save(
        self, checkpoint: Mapping[str, Any], *, is_best: bool, samples: bytes = b""
    ) -> None:
        """Write ``last.json`` and, before it, ``best.json`` if wanted.

        It returns when the checkpoint before this one is on disk; this one is written
        while the next step waits for its models. `flush` waits for it. Before either
        file, ``samples`` goes to the end of ``samples.bin``.
        """
        await self.flush()
        names = [BEST_FILE, LAST_FILE] if is_best else [LAST_FILE]
        self._wanted = asyncio.Event()
        self._writing = asyncio.ensure_future(
            self._write_soon(names, checkpoint, samples)
        )

    async def flush(self) -> None:
        """Wait until everything is on disk, also when cancelled meanwhile.

        Raises:
            OSError: It could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return
        self._wanted.set()
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    async def keep_last_as_best(self, checkpoint: Mapping[str, Any]) -> None:
        """Make sure that there is a best file, though no score was ever seen."""
        await self.flush()
        if self.best_path is None:
            await self._write([BEST_FILE], checkpoint)

    async def _write_soon(
        self, names: list[str], checkpoint: Mapping[str, Any], samples: bytes
    ) -> None:
        """Let the next step send its calls first; write while it waits for replies."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), GRACE_S)
        await self._write(names, checkpoint, samples)

    async def _write(
        self, names: list[str], checkpoint: Mapping[str, Any], samples: bytes = b""
    ) -> None:
        await in_thread(self._write_now, names, dict(checkpoint), samples)

    def _write_now(
        self, names: list[str], checkpoint: dict[str, Any], samples: bytes
    ) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if samples:
            with (self._folder / SAMPLES_FILE).open(self._samples_mode) as file:
                file.write(samples)
            self._samples_mode = "ab"
        for name in names:
            path = self._folder / name
            serialization.save(checkpoint, path)
            if name == BEST_FILE:
                self.best_path = path
            else:
                self.last_path = path


async def read_checkpoint(
    path: Any, known: Mapping[str, Path | None], earlier: Path | None = None
) -> tuple[Path, Any]:
    """Read a checkpoint; return where it is, and what it holds.

    Args:
        path: A path, or ``"best"`` or ``"last"``.
        known: What these two words stand for.
        earlier: The folder that an earlier process may have left them in.

    Raises:
        InputTypeError: ``path`` is not a path.
        InputValueError: There is no such file.
        FileFormatError: It is not a Trainer's checkpoint, or was damaged.
    """
    if not isinstance(path, (str, Path)):
        raise InputTypeError(f"ckpt_path must be a path, got {describe(path)}.")
    file = known.get(str(path)) or Path(path)
    if str(path) in known and known[str(path)] is None and not file.exists():
        file = await in_thread(_left_by_earlier, str(path), earlier)
    checkpoint = await in_thread(_load, file)
    check_checkpoint(file, checkpoint)
    return file, checkpoint


def _left_by_earlier(word: str, folder: Path | None) -> Path:
    """Return the file that ``"best"`` or ``"last"`` names in an earlier fit's folder.

    Raises:
        InputValueError: It is not there.
    """
    file = None if folder is None else folder / _FILES[word]
    if file is None or not file.is_file():
        place = "" if file is None else f", and there is no {file}"
        raise InputValueError(
            f"ckpt_path={word!r}: this Trainer has written no checkpoint yet{place}; "
            "fit first (with enable_checkpointing), or pass the path of a checkpoint."
        )
    return file


def _read_samples(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def _load(file: Path) -> Any:
    if not file.is_file():
        raise InputValueError(f"ckpt_path: there is no checkpoint at {file}.")
    return serialization.load(file)


def loader_state(loader: Any) -> Any:
    """Return a loader's own state, or None if it keeps none."""
    state_dict = getattr(loader, "state_dict", None)
    return state_dict() if callable(state_dict) else None


def set_loader_state(loader: Any, state: Any) -> None:
    """Give a loader its state back."""
    if state is not None and callable(getattr(loader, "load_state_dict", None)):
        loader.load_state_dict(state)


def clients_of(optimizer: Any) -> dict[str, Any]:
    """Return the model clients among an optimizer's options, by ``group.option``."""
    return {
        f"{number}.{key}": value
        for number, group in enumerate(getattr(optimizer, "param_groups", ()))
        for key, value in group.items()
        if callable(getattr(value, "get_usage", None))
    }
