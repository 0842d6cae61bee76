"""``afnio export``: prompts out of runs and checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_helpers import cli, write_files

import afnio
from afnio import tracking
from afnio.cli._load import load_program


@pytest.fixture(autouse=True)
def _run():
    """Write a run with a checkpoint."""
    write_files()
    program, _ = load_program("agent.py")
    run = tracking.init("me", "demo", "one")
    (run.path / "checkpoints").mkdir()
    state = {"agent_state_dict": program.state_dict()}
    afnio.save(state, run.path / "checkpoints" / "last.json")
    tracking.finish()


def test_the_latest_run_is_printed_as_markdown():
    """Without any words, a person sees the prompts."""
    result = cli("export")
    assert result.exit_code == 0
    assert result.stdout.startswith("# Prompts")
    assert "Name the capital of {country}." in result.stdout


def test_json_is_a_list_of_messages():
    """It can be piped into other programs."""
    found = json.loads(cli("export", "one", "-f", "json").stdout)
    assert found == [{"role": "user", "content": "Name the capital of {country}."}]


def test_the_file_name_tells_the_format():
    """As in the function."""
    result = cli("export", "runs/demo/one/checkpoints/last.json", "prompts.py")
    assert result.exit_code == 0
    assert "def messages(" in Path("prompts.py").read_text()
    assert cli("export", "one", "prompts.xyz").exit_code == 2


def test_what_holds_no_prompts_is_refused():
    """Missing, foreign, and unfinished."""
    Path("junk.json").write_text("[]")
    tracking.init("me", "demo", "empty")
    tracking.finish()
    for name, words in (
        ("none", "no run 'none'"),
        ("junk.json", "json"),
        ("empty", "no checkpoint yet"),
    ):
        result = cli("export", name)
        assert result.exit_code == 2
        assert words in result.stderr
