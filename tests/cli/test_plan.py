"""``afnio plan``: calls are counted, and none is sent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli_helpers import cli, write_files

SCRIPT = """\
import os, sys
from afnio import tracking
from afnio.models.testing import ScriptedModel
print("noise", os.environ["AFNIO_PLAN"])
tracking.init("me", "demo")
model = ScriptedModel()  # would raise if it were asked
for number in range(int(sys.argv[1])):
    model.chat([{"role": "user", "content": f"Question {number}"}])
"""


def test_a_script_is_counted_and_leaves_no_run():
    """Every call gets a stand-in; runs go to a temporary directory."""
    Path("script.py").write_text(SCRIPT)
    result = cli("plan", "script.py", "4")
    assert result.exit_code == 0, result.stderr
    assert "scripted      4" in result.stdout
    assert "noise" not in result.stdout
    assert result.stderr.index("only a plan") < result.stderr.index("noise")
    assert not Path("runs").exists()
    assert "AFNIO_PLAN" not in os.environ


def test_an_evaluation_is_counted():
    """As JSON, for scripts that ask before they spend."""
    write_files()
    result = cli("plan", "--json", "agent.py:program", "data.jsonl")
    found = json.loads(result.stdout)
    assert found["calls"] == 3
    assert found["rows"][0]["role"] == "test"


def test_what_a_cache_would_answer_is_no_call():
    """The cache in force is read."""
    write_files()
    cli("eval", "agent.py", "data.jsonl", "--cache-path", "c.sqlite")
    words = ("--json", "--cache-path", "c.sqlite", "agent.py:program", "data.jsonl")
    found = json.loads(cli("plan", *words).stdout)
    assert (found["calls"], found["rows"][0]["cached_calls"]) == (0, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.py"], "no script none.py"),
        (["agent.py:program"], "needs its data"),
        (["agent.py:asks", "data.jsonl"], "needs country, fwd_model"),
        (["agent.py:number", "data.jsonl"], "is int"),
    ],
)
def test_what_cannot_be_planned_is_named(words, message):
    """Exit code 2."""
    write_files()
    result = cli("plan", *words)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_a_script_that_fails_is_no_plan():
    """Half a plan would be too low."""
    Path("script.py").write_text("1 / 0")
    result = cli("plan", "script.py")
    assert (result.exit_code, result.stdout) == (3, "")
