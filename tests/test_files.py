"""Atomic writes."""

import os
from pathlib import Path

import pytest

from afnio._files import write_atomic


def test_links_are_followed_and_permissions_kept(tmp_path):
    """Writing through a link changes the file it names, and keeps who may read it."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_folders_are_refused_and_left(tmp_path):
    """A folder under that name is an error, and no draft stays behind."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomic(tmp_path / "taken", b"x")
    assert [item.name for item in tmp_path.iterdir()] == ["taken"]


def test_devices_are_written_straight_to():
    """A device is never replaced by a file."""
    write_atomic(os.devnull, b"x")
    assert not Path(os.devnull).is_file()
