"""Fits that were stopped: how to say it, and how the next process goes on by itself."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from afnio._dispatch import in_thread
from afnio.errors import StateError
from afnio.tracking import Run, get_active_run
from afnio.trainer._checkpoint import read_checkpoint

if TYPE_CHECKING:
    from afnio.trainer._state import TrainerState


def stopped(trainer: TrainerState, stage: str) -> KeyboardInterrupt:
    """Return what a stage raises after Ctrl-C: it says how to go on."""
    run, path = get_active_run(), trainer.last_path
    ways: list[str] = []
    if run is not None and not run.command.get("interactive"):
        ways.append(f"afnio resume {quote(str(run.path))}")
    where = f"in {stage}"
    if stage == "fit":
        where = f"after step {trainer.global_step}"
        ways += [] if path is None else [f"fit(..., ckpt_path={str(path)!r})"]
    how = f"; to go on from there: {', or '.join(ways)}" if ways else ""
    return KeyboardInterrupt(f"stopped {where}{how}.")


def note_dropped(trainer: TrainerState, stage: str) -> None:
    """Tell the summary, and the run, how many model calls a stop has ended."""
    if count := trainer.calls_dropped:
        calls = "1 model call was" if count == 1 else f"{count} model calls were"
        message = (
            f"{calls} under way when {stage} was stopped. Those may have been billed, "
            "are not counted as calls, and are made again when it goes on."
        )
        trainer.warnings.append(message)
        trainer.sink.event("warning", {"message": message})


async def read_stopped(file: Path) -> tuple[Path, Any] | None:
    """Return the checkpoint that the first fit of a resumed run goes on from.

    None if this is no resumed run, if it has begun another fit already, or if it was
    stopped before its first checkpoint.

    Args:
        file: Where this fit will write its last checkpoint.

    Raises:
        StateError: The checkpoint is of another run, or of a later fit of this one.
    """
    run = get_active_run()
    if run is None or not run.resumed or run.fits or not await in_thread(file.exists):
        return None
    found, checkpoint = await read_checkpoint(file, {})
    _check_same(run, checkpoint["trainer"], found)
    return found, checkpoint


def _check_same(run: Run, state: dict[str, Any], file: Path) -> None:
    if state.get("run") not in (None, run.uuid):
        raise StateError(
            f"{file} was written by another run; to resume {run.name!r}, pass the "
            "ckpt_path of one of its own checkpoints to fit()."
        )
    if state.get("fit", 1) > 1:
        raise StateError(
            f"run {run.name!r} was stopped in fit() number {state['fit']} of its "
            "program, and only the first one is resumed by itself; pass "
            f"ckpt_path={str(file)!r} to that call."
        )
