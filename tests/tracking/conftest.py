"""Keeps runs out of the working directory."""

from __future__ import annotations

import pytest

from afnio.tracking import run_context, set_active_run


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """Put runs into a temporary folder, and leave none open."""
    monkeypatch.setenv("AFNIO_RUNS", str(tmp_path / "runs"))
    yield tmp_path / "runs"
    run_context.finish_all()
    set_active_run(None)
