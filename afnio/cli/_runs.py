"""Finding runs and the states in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from afnio._text import closest, shorten
from afnio.errors import FileFormatError, MissingFileError

LATEST: Final = "latest"
"""Names the run that was changed last."""

_STATE: Final = "agent_state_dict"
_CHECKPOINTS: Final = ("best.json", "last.json")


def find_run(name: str) -> Path:
    """Return the directory of a run.

    Args:
        name: A directory, ``project/run`` or ``run`` where runs are kept, or
            ``latest``.

    Raises:
        MissingFileError: There is no such run.
    """
    from afnio.tracking.store import RUN_FILE, runs_root

    root = runs_root()
    runs = {p.parent: p.stat().st_mtime for p in root.glob(f"*/*/{RUN_FILE}")}
    if name == LATEST and runs:
        return max(runs, key=lambda path: runs[path])
    named = [path for path in runs if path.name == name]
    for path in (Path(name), root / name, *named[:1]):
        if (path / RUN_FILE).is_file():
            return path
    if Path(name).is_dir():
        raise FileFormatError(f"{shorten(name)} is not a run: it has no {RUN_FILE}.")
    hint = closest(name, [path.name for path in runs])
    raise MissingFileError(f"there is no run {shorten(name)!r} in {root}; {hint}")


def find_state(name: str) -> tuple[Path, Mapping[str, Any]]:
    """Return a program's state dict, and the file that it is in.

    Args:
        name: A file that `afnio.save` or a Trainer wrote, or a run, whose best
            checkpoint is taken, or else its last one.

    Raises:
        MissingFileError: There is no such file or run.
        FileFormatError: It holds no state.
    """
    from afnio import serialization

    path = Path(name)
    if not path.is_file():
        path = checkpoint_of(find_run(name))
    loaded = serialization.load(path)
    if isinstance(loaded, Mapping) and isinstance(loaded.get(_STATE), Mapping):
        loaded = loaded[_STATE]
    if not isinstance(loaded, Mapping):
        raise FileFormatError(
            f"{shorten(path)} holds {type(loaded).__name__}; expected a state dict or "
            "a checkpoint."
        )
    return path, loaded


def checkpoint_of(run: Path) -> Path:
    """Return a run's best checkpoint, or else its last one.

    Raises:
        MissingFileError: It has none.
    """
    for name in _CHECKPOINTS:
        if (path := run / "checkpoints" / name).is_file():
            return path
    raise MissingFileError(f"run {shorten(run)} has no checkpoint yet.")
