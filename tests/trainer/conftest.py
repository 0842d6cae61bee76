"""Makes `trainer_helpers` importable, and keeps files out of the working directory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from afnio.tracking import finish

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Checkpoints and runs go to a temporary folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AFNIO_RUNS", raising=False)
    yield
    finish()
