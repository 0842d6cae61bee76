"""Every test of the command line works in a folder of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from afnio.models import model_registry
from afnio.tracking import finish

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _as_it_was(tmp_path, monkeypatch):
    """Undo what commands do to a process that they expect to own."""
    monkeypatch.chdir(tmp_path)
    for name in ("AFNIO_RUNS", "AFNIO_RESUME", "AFNIO_PLAN"):
        monkeypatch.delenv(name, raising=False)
    providers = dict(model_registry._registered)
    path, modules, environment = list(sys.path), set(sys.modules), dict(os.environ)
    yield
    finish()
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("afnio_cli_"):
            del sys.modules[name]
    os.environ.clear()
    os.environ.update(environment)
    model_registry._registered.clear()
    model_registry._registered.update(providers)
