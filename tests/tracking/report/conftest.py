"""Makes `demo_run` importable, and keeps files out of the working directory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Checkpoints and reports go to a temporary folder."""
    monkeypatch.chdir(tmp_path)
