"""The peers in the same worlds, each in a virtual environment of its own.

`benchmarks._optim_peer` is run by a peer's Python, and imports nothing of afnio::

    peers/textgrad/bin/python -m benchmarks._optim_peer {"peer": "textgrad", ...}

A peer is used as its documentation shows, with its own defaults; all its model calls
go to the loopback server, which refuses those beyond the budget.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from benchmarks._optim_task import Task

PEERS: Final = {
    "textgrad": "textgrad",
    "dspy MIPROv2": "dspy",
    "dspy GEPA": "dspy",
    "gepa": "gepa",
}
"""Names of the rows, and of the virtual environments."""
ROOT: Final = Path(__file__).parents[1]
SECONDS: Final = 600
"""How long a run may take before it counts as failed."""


def driver(name: str, environments: Path) -> Callable[[Task], str | None]:
    """Return what runs a peer on a task."""
    return partial(_drive, name, python_of(PEERS[name], environments))


def python_of(environment: str, environments: Path) -> Path:
    """Return the Python of one of the virtual environments."""
    return environments.absolute() / environment / "bin" / "python"


@lru_cache(maxsize=1)
def _server() -> str:
    """Start this process's server; it ends with the process."""
    import atexit

    from benchmarks.simworld.server import running

    server = running()
    address = server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return address


def _drive(name: str, python: Path, task: Task) -> str | None:
    plan = task.plan
    wanted = {
        "peer": name,
        "address": _server(),
        "seed": plan.seed,
        "budget": plan.budget,
        "physics": asdict(plan.physics),
    }
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(python), "-m", "benchmarks._optim_peer", json.dumps(wanted)],
            cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": folder, "DSPY_CACHEDIR": folder},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    if not lines:
        return f"failed: {done.stderr.strip().splitlines()[-1:]}"
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("FOUND "))
    task.models.calls.update(found["calls"])
    task.trail.extend((calls, tuple(prompts)) for calls, prompts in found["trail"])
    return found["note"] or None
