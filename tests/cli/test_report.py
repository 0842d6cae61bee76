"""``afnio report``: the page, the summary, and the live view."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest
from cli_helpers import cli, process

from afnio import tracking


@pytest.fixture(autouse=True)
def _run():
    """Write a run."""
    tracking.init("me", "demo", "one")
    tracking.log("accuracy", 0.5)
    tracking.finish()


def test_the_page_of_the_latest_run_is_written():
    """Its path is printed, for scripts."""
    result = cli("report")
    assert result.exit_code == 0
    written = Path(result.stdout.strip())
    assert written == Path("runs/demo/one/report.html")
    assert "<html" in written.read_text("utf-8")


def test_the_page_can_be_written_elsewhere():
    """Also of a named run."""
    assert cli("report", "one", "-o", "page.html").exit_code == 0
    assert Path("page.html").exists()


def test_the_summary_is_json_for_scripts():
    """What a Trainer prints, as data."""
    assert "looks" in json.loads(cli("report", "--json").stdout)
    assert cli("report", "--summary").exit_code == 0


def test_missing_runs_are_refused():
    """With what is there."""
    result = cli("report", "two")
    assert (result.exit_code, "known: one" in result.stderr) == (2, True)


@pytest.mark.loopback
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_the_live_view_is_served_until_ctrl_c():
    """On this machine, at the address that it prints."""
    with process("report", "--live") as started:
        line = started.stderr.readline()
        url = next(word for word in line.split() if word.startswith("http"))
        with urllib.request.urlopen(url, timeout=30) as page:
            assert b"<html" in page.read()
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=30)
    assert "Traceback" not in err
    assert started.returncode == 0
