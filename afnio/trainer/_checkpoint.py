"""Checkpoints: the best and the last state of a fit, written in one step each."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from afnio import serialization
from afnio._dispatch import in_thread
from afnio._text import describe
from afnio.errors import FileFormatError, InputTypeError, InputValueError

BEST_FILE: Final = "best.json"
LAST_FILE: Final = "last.json"
_KEYS: Final = ("epoch", "batch", "agent_state_dict", "optimizer_state_dict", "trainer")


class Checkpoints:
    """The two checkpoint files of a Trainer.

    Args:
        folder: Where they are; made when the first one is written.
        enabled: Whether anything is written at all.
        higher_is_better: Whether high values of the monitored metric are good.
    """

    def __init__(self, folder: Path, *, enabled: bool, higher_is_better: bool) -> None:
        self._folder = folder.absolute()
        self._enabled = enabled
        self._sign = 1 if higher_is_better else -1
        self.best_score: float | None = None
        self.best_path: Path | None = None
        self.last_path: Path | None = None

    def beats_best(self, score: float | None) -> bool:
        """Whether ``score`` is at least as good as the best so far, and note it."""
        if score is None or math.isnan(score):
            return False
        best = self.best_score
        if best is not None and score * self._sign < best * self._sign:
            return False
        self.best_score = score
        return True

    async def save(self, checkpoint: Mapping[str, Any], *, is_best: bool) -> None:
        """Write ``last.json`` and, before it, ``best.json`` if wanted.

        A write that has begun is finished even if the fit is cancelled.
        """
        if not self._enabled:
            return
        if is_best:
            self.best_path = await self._write(BEST_FILE, checkpoint)
        self.last_path = await self._write(LAST_FILE, checkpoint)

    async def keep_last_as_best(self, checkpoint: Mapping[str, Any]) -> None:
        """Make sure that there is a best file, though no score was ever seen."""
        if self._enabled and self.best_path is None:
            self.best_path = await self._write(BEST_FILE, checkpoint)

    async def _write(self, name: str, checkpoint: Mapping[str, Any]) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        await _finished(in_thread(serialization.save, dict(checkpoint), path))
        return path


async def _finished(work: Coroutine[Any, Any, Any]) -> None:
    """Await ``work`` to its end, also when cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def read_checkpoint(path: Any, known: Mapping[str, Path | None]) -> Any:
    """Read a checkpoint.

    Args:
        path: A path, or ``"best"`` or ``"last"``.
        known: What these two words stand for.

    Raises:
        InputTypeError: ``path`` is not a path.
        InputValueError: There is no such file.
        FileFormatError: It is not a Trainer's checkpoint.
    """
    if not isinstance(path, (str, Path)):
        raise InputTypeError(f"ckpt_path must be a path, got {describe(path)}.")
    file = known.get(str(path)) or Path(path)
    checkpoint = await in_thread(_load, file)
    missing = (
        _KEYS if not isinstance(checkpoint, Mapping) else _KEYS - checkpoint.keys()
    )
    if missing:
        raise FileFormatError(
            f"{file} is not a checkpoint of a Trainer: it lacks "
            f"{', '.join(sorted(missing))}."
        )
    return checkpoint


def _load(file: Path) -> Any:
    if not file.is_file():
        raise InputValueError(f"ckpt_path: there is no checkpoint at {file}.")
    return serialization.load(file)


def random_state() -> list[Any]:
    """Return the state of Python's global random numbers, as JSON data."""
    version, numbers, gauss = random.getstate()
    return [version, list(numbers), gauss]


def set_random_state(state: list[Any]) -> None:
    """Continue Python's global random numbers from what `random_state` returned."""
    version, numbers, gauss = state
    random.setstate((version, tuple(numbers), gauss))


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
