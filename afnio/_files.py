"""Writing files so that a crash never leaves half of one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from uuid import uuid4


def write_atomic(path: str | os.PathLike[str], payload: bytes) -> None:
    """Write ``payload`` to ``path`` completely, or leave the file as it was.

    The bytes go to a new file in the same folder, reach the disk, and take the name in
    one step. Links are followed and permissions kept. A device or a pipe is written
    straight to.

    Raises:
        OSError: It cannot be written; the error names ``path``.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        target.write_bytes(payload)
        return
    draft = target.parent / f".{uuid4().hex}.tmp"
    try:
        with draft.open("xb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        if target.is_file():
            shutil.copymode(target, draft)
        draft.replace(target)
    except OSError as error:
        if error.filename != str(draft):
            raise
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from None
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the system can open folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
