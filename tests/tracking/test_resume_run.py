"""Going on with a run whose process has stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import afnio
from afnio import tracking
from afnio.tracking import RunStatus, read_run

ROOT = Path(afnio.__file__).parent.parent
STOPPED = """
import os, sys
from afnio import tracking
run = tracking.init("me", "My Project", name=sys.argv[1] or None, description="why")
run.log("a", 1.0)
run.describe(seed=1)
print(run.path)
sys.stdout.flush()
os._exit(9)
"""


def stopped(runs, name=""):
    """Return the directory of a run whose process is gone."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, name],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "AFNIO_RUNS": str(runs), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 9, done.stderr
    return Path(done.stdout.strip())


def test_resume(runs):
    """The same run: its name, steps, facts and events, and a new process."""
    path = stopped(runs, "r")
    before, _ = read_run(path)
    assert before["status"] == "CRASHED"
    run = tracking.resume(path)
    assert tracking.get_active_run() is run
    run.log("a", 2.0)
    run.finish()
    data, events = read_run(path)
    for key in ("uuid", "name", "date_created", "description", "command", "manifest"):
        assert data[key] == before[key]
    assert (data["status"], data["pid"]) == ("COMPLETED", os.getpid())
    assert [e["type"] for e in events] == ["metric", "resumed", "metric", "status"]
    assert events[2]["step"] == 1
    assert run.project.display_name == "My Project"


def test_init_goes_on_if_told_to(runs, monkeypatch):
    """AFNIO_RESUME names the run; the second init of a process starts a new one."""
    path = stopped(runs)
    monkeypatch.setenv("AFNIO_RESUME", str(path))
    first = tracking.init("me", "My Project")
    assert (first.path, first.resumed) == (path, True)
    second = tracking.init("me", "My Project")
    assert second.path != path
    assert first.status is RunStatus.FAILED


def test_init_of_another_run_does_not(runs, monkeypatch):
    """Another project or name is another run; numbers that names got do not count."""
    stopped(runs, "r")
    path = stopped(runs, "r")
    assert path.name == "r_1"
    monkeypatch.setenv("AFNIO_RESUME", str(path))
    assert tracking.init("me", "Other").path != path
    assert tracking.init("me", "My Project", name="q").path != path
    assert tracking.init("me", "My Project", name="r").path == path


def test_a_run_that_is_still_going_on(runs):
    """Two processes must not write one run."""
    child = subprocess.Popen(
        [sys.executable, "-c", STOPPED.replace("os._exit(9)", "sys.stdin.read()"), "r"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "AFNIO_RUNS": str(runs), "PYTHONPATH": str(ROOT)},
    )
    path = Path(child.stdout.readline().strip())
    with pytest.raises(RuntimeError, match=f"still going on, in process {child.pid}"):
        tracking.resume(path)
    child.communicate("")


def test_a_folder_that_is_no_run(tmp_path):
    """The message names it."""
    with pytest.raises(RuntimeError, match="is not a run"):
        tracking.resume(tmp_path)
