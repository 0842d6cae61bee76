"""What a run says about where it comes from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from afnio import tracking
from afnio.tracking import _manifest, read_run
from afnio.tracking._manifest import command, digest, merged, versions


def test_the_command_can_be_run_again(monkeypatch):
    """As the interpreter got it, and where."""
    monkeypatch.setattr(_manifest, "is_interactive", lambda: False)
    assert command() == {"argv": sys.orig_argv, "cwd": str(Path.cwd())}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--api-key", "abc", "x.py"], ["--api-key", "***", "x.py"]),
        (["--api_key=abc"], ["--api_key=***"]),
        (["--token", "t", "--password=p"], ["--token", "***", "--password=***"]),
        (["sk-0123456789", "--x=sk-0123456789"], ["***", "--x=***"]),
        (["--max-tokens", "5", "--key"], ["--max-tokens", "5", "--key"]),
        (["--api-key", "--verbose"], ["--api-key", "--verbose"]),
    ],
)
def test_keys_are_hidden(given, shown):
    """Whatever looks like a key; ``hidden`` says that the command is not whole."""
    found = command(given)
    assert found["argv"] == shown
    assert found.get("hidden", False) == (given != shown)


def test_versions():
    """Of afnio, Python, and what is installed beside them."""
    found = versions()
    assert {"afnio", "python", "platform", "openai"} <= found.keys()


def test_digests():
    """Equal for equal contents, whatever the order of keys."""
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2})
    assert digest(b"x").startswith("sha256:")


def test_merging():
    """Dicts grow at every depth; all else is replaced."""
    old = {"a": {"b": {"c": 1}}, "d": [1]}
    assert merged(old, {"a": {"b": {"e": 2}}, "d": [2]}) == {
        "a": {"b": {"c": 1, "e": 2}},
        "d": [2],
    }
    assert old == {"a": {"b": {"c": 1}}, "d": [1]}


def test_describing_a_run():
    """It is in the file at once; what is not JSON data changes nothing."""
    with tracking.init("me", "P") as run:
        run.describe(hashes={"data": {"train": "x"}})
        run.describe(hashes={"data": {"test": "y"}})
        with pytest.raises(TypeError, match="JSON data"):
            run.describe(bad=object())
        data, _ = read_run(run.path)
    assert data["manifest"] == {"hashes": {"data": {"train": "x", "test": "y"}}}
    assert data["command"]["cwd"] == str(Path.cwd())
    assert json.loads((run.path / "run.json").read_text())["versions"]["afnio"]
