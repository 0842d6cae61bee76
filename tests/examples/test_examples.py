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
MAX_LINES = 80
SAYS = {
    "budgeted_run": "finished after 60 steps; 'Answer with the number and nothing",
    "custom_function": "In the field 'title': Cut 2 words.",
    "evaluate_in_ci": "baseline written to urgency_baseline.json",
    "export_prompt": "user: Message: I love it!",
    "facility_support": "{'urgency': 3, 'sentiment': 3, 'category': 3}",
    "replay_in_ci": "'Say hi in French.' instead of 'Say hello in French.'",
    "retrieval_qa": "epoch 1: 3 of 3 right: ['28 [0]', '25th [1]', '30 [3]']",
    "side_by_side": "NoOp             400  0.36  +0.00 [-0.02, +0.02]",
    "tool_agent": "epoch 1: 3 of 3 right, 2 tool calls",
    "training_loop": "epoch 1: 4 of 4",
    "tune_judge": "epoch 1: accuracy 1.000",
}
"""What shows that the example did what it is about."""


def run(name, folder, *arguments):
    """Run an example in ``folder``: no keys, and every warning is an error."""
    keep = ("PATH", "SYSTEMROOT", "TEMP", "LD_LIBRARY_PATH")
    env = {key: os.environ[key] for key in keep if key in os.environ}
    env |= {"HOME": str(folder), "PYTHONPATH": str(EXAMPLES.parent)}
    script = str(EXAMPLES / f"{name}.py")
    command = [sys.executable, "-W", "error", script, *arguments]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=100
    )


@pytest.mark.parametrize("name", [path.stem for path in SCRIPTS])
def test_example_runs_without_key_and_network(name, tmp_path):
    """It ends well, says what it should, and complains of nothing."""
    if name == "retrieval_qa":
        pytest.importorskip("bm25s")
    done = run(name, tmp_path)
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
    assert "warning" not in done.stderr.lower()
    assert "error" not in done.stderr.lower()


def test_an_evaluation_fails_a_worse_prompt(tmp_path):
    """The second run passes, and the third one, with a worse prompt, exits with 1."""
    first, second, worse = (
        run("evaluate_in_ci", tmp_path, *options)
        for options in ([], [], ["--prompt", "How urgent?"])
    )
    assert (first.returncode, second.returncode, worse.returncode) == (0, 0, 1)
    assert "ok   regression: change +0" in second.stdout
    assert "FAIL regression: change -0.8333" in worse.stdout
    assert 'failures="2"' in (tmp_path / "urgency_junit.xml").read_text("utf-8")


def test_side_by_side_says_what_feedback_is_worth(tmp_path):
    """Equal calls for all; what reads feedback beats both controls."""
    lines = run("side_by_side", tmp_path).stdout.splitlines()
    rows = [line.split() for line in lines if "[" in line]
    assert {row[1] for row in rows} == {"400"}
    score = {row[0]: float(row[2]) for row in rows}
    controls = max(score.pop("NoOp"), score.pop("RandomRewrite"))
    assert controls == 0.36
    assert all(value > controls for value in score.values())


@pytest.mark.parametrize("name", ["training_loop", "side_by_side"])
def test_an_unknown_model_is_said_in_one_line(name, tmp_path):
    """A typing error in --model ends with the closest name, not with a traceback."""
    done = run(name, tmp_path, "--model", "opnai/gpt-4o-mini")
    assert done.returncode == 1
    assert "did you mean 'openai'?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_example_is_short(path):
    """One idea each."""
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_example_uses_public_names_only(path):
    """What a reader copies is promised to stay."""
    lines = path.read_text("utf-8").splitlines()
    imports = [
        line for line in lines if line.startswith(("from afnio", "import afnio"))
    ]
    assert imports
    assert not [line for line in imports if "._" in line]


def test_every_example_is_in_the_table():
    """The table of examples/README.md names every script and notebook."""
    table = (EXAMPLES / "README.md").read_text("utf-8")
    names = [path.name for path in SCRIPTS]
    names += ["quickstart.py"]
    names += [path.name for path in (EXAMPLES / "notebooks").glob("*.ipynb")]
    assert [name for name in names if name not in table] == []
