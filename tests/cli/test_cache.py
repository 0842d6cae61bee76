"""``afnio cache``: looking into a file of replies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_helpers import cli, write_files


@pytest.fixture(autouse=True)
def _cache():
    """Record three replies."""
    write_files()
    cli("eval", "agent.py", "data.jsonl", "--cache-path", "c.sqlite")


def test_info_tells_how_much_there_is():
    """For people and for scripts."""
    assert "c.sqlite: 3 replies" in cli("cache", "info", "c.sqlite").stdout
    found = json.loads(cli("cache", "info", "c.sqlite", "--json").stdout)
    assert (found["entries"], found["path"]) == (3, "c.sqlite")


def test_list_finds_entries_by_text():
    """The newest first, at most so many."""
    assert cli("cache", "list", "c.sqlite").stdout.count("asked") == 3
    result = cli("cache", "list", "c.sqlite", "--contains", "italy")
    assert "answered Rome" in result.stdout
    assert result.stdout.count("asked") == 1
    found = json.loads(cli("cache", "list", "c.sqlite", "--json", "--limit", 2).stdout)
    assert len(found) == 2
    nothing = cli("cache", "list", "c.sqlite", "--contains", "Peru")
    assert (nothing.stdout, nothing.exit_code) == ("", 0)


def test_show_prints_one_entry():
    """By the beginning of its key."""
    found = json.loads(cli("cache", "list", "c.sqlite", "--json").stdout)
    shown = json.loads(cli("cache", "show", "c.sqlite", found[0]["key"][:12]).stdout)
    assert shown["reply"]["text"] == found[0]["answer"]
    assert "no entry" in cli("cache", "show", "c.sqlite", "zz").stderr
    assert cli("cache", "show", "c.sqlite", "").exit_code == 2


def test_prune_deletes_only_when_told_to():
    """A dry run counts; ages and sizes have units."""
    words = ("cache", "prune", "c.sqlite")
    dry = cli(*words, "--max-size", "0k", "--dry-run").stdout
    assert dry == "3 entries would be deleted\n"
    assert cli(*words, "--older-than", "30d").stdout == "0 entries deleted\n"
    assert cli(*words, "--max-size", "0").stdout == "3 entries deleted\n"
    assert cli(*words).exit_code == 2
    for wrong in ("30y", "d", "-1d", "many"):
        result = cli(*words, f"--older-than={wrong}")
        assert (result.exit_code, "no amount" in result.stderr) == (2, True)


def test_export_writes_json_lines():
    """One per entry."""
    result = cli("cache", "export", "c.sqlite", "out.jsonl")
    assert result.stdout == "3 entries written to out.jsonl\n"
    lines = Path("out.jsonl").read_text().splitlines()
    assert {json.loads(line)["reply"]["text"] for line in lines} == {
        "Rome",
        "Paris",
        "London",
    }


@pytest.mark.parametrize("name", ["info", "list"])
def test_other_files_are_refused(name):
    """Missing and foreign ones, by name, and they stay as they are."""
    assert cli("cache", name, "none.sqlite").exit_code == 2
    assert not Path("none.sqlite").exists()
    result = cli("cache", name, "data.jsonl")
    assert (result.exit_code, "data.jsonl" in result.stderr) == (2, True)


def test_a_client_without_a_model_is_shown_by_its_name():
    """Such as a scripted one, of which neither request nor reply names a model."""
    write_files()
    cli("eval", "agent.py", "data.jsonl", "--cache-path", "c.sqlite")
    shown = cli("cache", "info", "c.sqlite").stdout
    assert "3  scripted" in shown
    assert "unknown" not in shown


def test_the_file_that_is_meant_where_none_is_named():
    """It is the one that --cache writes."""
    write_files()
    cli("eval", "agent.py", "data.jsonl", "--cache", "read-write")
    assert "cache.sqlite: 3 replies" in cli("cache", "info").stdout
    assert "capital of Spain" in cli("cache", "list").stdout
