"""Runs: their life, their files, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import afnio
from afnio import tracking
from afnio.tracking import RunStatus, get_active_run, init, read_run

ROOT = Path(afnio.__file__).parent.parent


def events_of(run, kind="metric"):
    """Return the events of one kind."""
    return [event for event in read_run(run.path)[1] if event["type"] == kind]


def test_init(runs):
    """A run is RUNNING, has its project, and is the active one (R01)."""
    run = init("me", "Test Project", name="MyRun", description="what for")
    assert (run.status, run.name) == (RunStatus.RUNNING, "MyRun")
    assert (run.project.slug, run.project.display_name) == (
        "test-project",
        "Test Project",
    )
    assert run.path == runs / "test-project" / "MyRun"
    assert get_active_run() is run
    assert run.organization.slug == run.user.slug == "me"


def test_finish_twice():
    """The second time does nothing (R02)."""
    run = init("me", "P")
    run.finish()
    run.finish(status="CRASHED")
    assert run.status is RunStatus.COMPLETED
    assert get_active_run() is None
    assert len(events_of(run, "status")) == 1


def test_log_without_a_run():
    """It is a ValueError that says how to start one (R03)."""
    with pytest.raises(ValueError, match=r"No active run is set.*init\("):
        tracking.log("accuracy", 1)
    tracking.finish()


def test_the_end_of_a_block():
    """COMPLETED, or CRASHED by an exception, which goes on (R04)."""
    with init("me", "P") as run:
        assert not run.is_finished
    assert run.status is RunStatus.COMPLETED
    with pytest.raises(KeyError), init("me", "P") as run:
        raise KeyError("secret sk-123")
    assert run.status is RunStatus.CRASHED
    (event,) = events_of(run, "status")
    assert (event["status"], event["error"]) == ("CRASHED", "KeyError")


def test_a_second_run_takes_over():
    """What was left unfinished becomes FAILED (R05)."""
    first, second = init("me", "P"), init("me", "P")
    assert first.status is RunStatus.FAILED
    assert get_active_run() is second
    first.finish()
    assert get_active_run() is second


def test_threads_have_runs_of_their_own():
    """A run in another thread neither ends nor replaces this one's."""
    mine, theirs = init("me", "P"), []

    def work():
        assert get_active_run() is mine
        run = init("me", "P")
        tracking.log("there", 1)
        theirs.append((run, get_active_run()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    run, active = theirs[0]
    assert active is run
    assert get_active_run() is mine
    assert mine.status is RunStatus.RUNNING
    assert [event["name"] for event in events_of(run)] == ["there"]
    run.finish()
    assert get_active_run() is mine


def test_steps():
    """Steps count from 0 per metric, and after one that was given (R06)."""
    run = init("me", "P")
    run.log("accuracy", 0.95)
    run.log("accuracy", 0.96, step=5)
    tracking.log("accuracy", 0.97)
    tracking.log("loss", {"any": ["JSON", None]})
    logged = [(e["name"], e["value"], e["step"]) for e in events_of(run)]
    assert logged == [
        ("accuracy", 0.95, 0),
        ("accuracy", 0.96, 5),
        ("accuracy", 0.97, 6),
        ("loss", {"any": ["JSON", None]}, 0),
    ]


def test_numbers_that_json_lacks_become_text():
    """The log stays readable by any JSON parser."""
    run = init("me", "P")
    run.log("loss", [float("nan"), float("inf")])
    assert events_of(run)[0]["value"] == ["nan", "inf"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda run: run.log("x", object()), TypeError),
        (lambda run: run.log(3, 1), TypeError),
        (lambda run: run.log("x", 1, step="a"), TypeError),
        (lambda run: run.record("x", time=1), ValueError),
        (lambda run: run.finish(status="DONE"), ValueError),
        (lambda run: init(3, "P"), TypeError),
        (lambda run: init("me", "!!!"), ValueError),
        (lambda run: init("me", "P", status="RUNING"), ValueError),
    ],
)
def test_wrong_arguments(call, error):
    """Each is refused, and the run goes on."""
    run = init("me", "P")
    with pytest.raises(error):
        call(run)
    run.log("fine", 1)
    assert len(events_of(run)) == 1


def test_a_finished_run_takes_no_more():
    """A late log is an error that names the run."""
    run = init("me", "P", name="Done")
    run.finish()
    with pytest.raises(RuntimeError, match="'Done' is COMPLETED"):
        run.log("x", 1)


def test_names(runs):
    """Taken names get a number; no name leaves the project's folder."""
    names = [init("me", "P", name="same").name for _ in range(3)]
    assert names == ["same", "same_1", "same_2"]
    run = init("me", "P", name="../../etc/passwd")
    assert run.path.parent == runs / "p"
    assert "_" in init("me", "P").name


def test_the_file():
    """run.json tells what, when, with which versions, and how it ended."""
    run = init("me", "P", name="R")
    run.finish(status=RunStatus.FAILED)
    data = json.loads((run.path / "run.json").read_text("utf-8"))
    assert data["status"] == "FAILED"
    assert data["versions"]["afnio"] == afnio.__version__
    assert data["date_created"] <= data["date_updated"]
    assert data["name"] == "R"


def test_other_folders_are_no_runs(tmp_path):
    """A missing, damaged or foreign file is an error of ours."""
    with pytest.raises(RuntimeError, match=r"no run\.json"):
        read_run(tmp_path)
    for text in ("{", "[]", '{"format": "x"}'):
        (tmp_path / "run.json").write_text(text, encoding="utf-8")
        with pytest.raises(RuntimeError, match=r"run\.json"):
            read_run(tmp_path)


def program(tmp_path, code):
    """Run a program that starts a run; return its exit code and how the run reads."""
    done = subprocess.run(
        [sys.executable, "-c", f"from afnio.tracking import init\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "AFNIO_RUNS": str(tmp_path)},
    )
    (path,) = (tmp_path / "p").glob("*/run.json")
    return done, read_run(path.parent)[0]["status"]


@pytest.mark.parametrize(
    ("end", "code", "status"),
    [
        ("pass", 0, "COMPLETED"),
        ("1 / 0", 1, "CRASHED"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "CRASHED"),
        ("import os; os.kill(os.getpid(), 9)", -9, "CRASHED"),
        ("import os\nif os.fork() == 0: raise SystemExit\nos.wait(); run.log('x', 1)",
         0, "COMPLETED"),
    ],
)  # fmt: skip
def test_the_end_of_a_process(tmp_path, end, code, status):
    """Unfinished runs are completed at exit, and crashed ones say so (R07)."""
    done, found = program(tmp_path, f"run = init('me', 'P')\n{end}")
    assert done.returncode == code, done.stderr
    assert found == status


def test_a_crash_still_prints_its_traceback(tmp_path):
    """The hook that was there before is called."""
    hook = "import sys\nsys.excepthook = lambda *error: print('mine', error[0])\n"
    done, _ = program(tmp_path, f"{hook}run = init('me', 'P')\n1 / 0")
    assert "mine <class 'ZeroDivisionError'>" in done.stdout


def test_notifications_can_be_suppressed():
    """The documented context manager does nothing (R08)."""
    with tracking.suppress_variable_notifications():
        assert afnio.Variable("x").data == "x"


def test_a_prompt_that_cannot_be_kept_does_not_end_the_log():
    """It is in the events anyway; a warning says what is missing."""
    run = tracking.init("me", "demo")
    (run.path / "prompts").write_text("in the way")
    run.save_prompt("p", "text")
    run.log("accuracy", 1)
    events = read_run(run.path)[1]
    assert [event["type"] for event in events] == ["warning", "metric"]
    assert "prompt" in events[0]["message"]


@pytest.mark.parametrize("name", ["\u65e5" * 95, "\u65e5" * 300])
def test_long_names_in_any_language(name):
    """They are cut to what the file system takes."""
    run = tracking.init("me", name, name)
    run.save_prompt(name, "text")
    assert run.name == name
