"""Every example runs as printed: no key, no network, nothing left to imagine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(
    path
    for path in EXAMPLES.glob("*.py")
    if not path.name.startswith("_") and path.name != "quickstart.py"
)
MAX_LINES = 85
SAYS = {
    "budgeted_run": "finished after 60 steps",
    "custom_function": "In the field 'title': Cut 2 words.",
    "export_prompt": "user: Message: I love it!",
    "facility_support": "{'urgency': 3, 'sentiment': 3, 'category': 3}",
    "replay_in_ci": "'Say hi in French.' instead of 'Say hello in French.'",
    "tool_agent": "epoch 1: 3 of 3 right, 2 tool calls",
    "training_loop": "epoch 1: 4 of 4",
    "tune_judge": "epoch 1: accuracy 1.000",
}
"""What shows that the example did what it is about."""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_example_runs_without_key_and_network(path, tmp_path):
    """It ends well, says what it should, and warns of nothing."""
    keep = ("PATH", "SYSTEMROOT", "TEMP", "LD_LIBRARY_PATH")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env |= {"HOME": str(tmp_path), "PYTHONPATH": str(EXAMPLES.parent)}
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[path.stem] in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_example_is_short(path):
    """One idea each."""
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES
