"""From a run to its loggers: in order, off the caller's thread, whatever they do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import afnio
from afnio import tracking
from afnio.tracking import RunLogger, _fanout, read_run


class Keeping(RunLogger):
    """Keeps what it is told, and on which thread."""

    def __init__(self):
        self.calls, self.threads = [], set()

    def _keep(self, *call):
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)

    def start(self, run):
        self._keep("start", run.name, run.resumed)

    def describe(self, facts):
        self._keep("describe", *facts)

    def log_metrics(self, metrics, step):
        self._keep("metrics", metrics, step)

    def log_event(self, kind, fields):
        self._keep("event", kind, fields)

    def finish(self, status):
        self._keep("finish", status)


class Broken(RunLogger):
    """Fails at its first metric."""

    def log_metrics(self, metrics, step):
        raise OSError("disk full, key sk-123")


def test_everything_arrives_in_order():
    """From start to finish, on the loggers' own thread."""
    logger = Keeping()
    with tracking.init("me", "P", name="r", loggers=[logger]) as run:
        run.log("a", 1)
        run.log("a", 2)
        run.record("note", x=1)
        run.describe(seed=3)
    assert logger.calls == [
        ("start", "r", False),
        ("describe", "command", "versions"),
        ("metrics", {"a": 1}, 0),
        ("metrics", {"a": 2}, 1),
        ("event", "note", {"x": 1}),
        ("describe", "seed"),
        ("finish", "COMPLETED"),
    ]
    assert logger.threads == {"afnio-loggers"}


def test_a_logger_that_fails_is_left_alone():
    """One warning, an event in the run, no key in either; the others go on."""
    good = Keeping()
    run = tracking.init("me", "P", loggers=[Broken(), good])
    run.log("a", 1)
    with pytest.warns(RuntimeWarning, match="Broken has failed") as warned:
        run.finish()
    assert len(warned) == 1
    assert "sk-123" not in str(warned[0].message)
    _, events = read_run(run.path)
    (event,) = [event for event in events if event["type"] == "logger_failed"]
    assert (event["logger"], event["error"]) == ("Broken", "OSError in log_metrics()")
    assert len(good.calls) == 4


def test_a_logger_that_hangs_is_given_up(monkeypatch):
    """The end of a run waits for a while, and says so."""
    ready = threading.Event()

    class Hanging(RunLogger):
        def finish(self, status):
            ready.wait(60)

    monkeypatch.setattr(_fanout, "PATIENCE_S", 0.05)
    run = tracking.init("me", "P", loggers=[Hanging()])
    with pytest.warns(RuntimeWarning, match="Hanging has failed .not done after"):
        run.finish()
    ready.set()


def test_adding_loggers_later():
    """They are told what is known so far."""
    logger = Keeping()
    with tracking.init("me", "P") as run:
        run.describe(seed=3)
        run.add_loggers([logger])
    assert logger.calls[1] == ("describe", "command", "versions", "seed")


@pytest.mark.parametrize(
    ("loggers", "message"),
    [
        (3, "list of loggers, got int"),
        ("mlflow", "list of loggers, got str"),
        ([Keeping], "holds Keeping, which is not"),
        ([object()], "holds object, which is not"),
    ],
)
def test_what_is_no_logger(loggers, message, runs):
    """Refused before a run is made."""
    with pytest.raises(TypeError, match=message):
        tracking.init("me", "P", loggers=loggers)
    assert not list(runs.rglob("run.json"))


AT_EXIT = """
import atexit, time
from afnio import tracking

class Late(tracking.RunLogger):
    def start(self, run):
        time.sleep(0.2)
        atexit.register(print, "library closed")

    def finish(self, status):
        print("logger", status, flush=True)

run = tracking.init("me", "P", loggers=[Late()])
run.log("a", 1)
time.sleep(0.5)
"""


def test_a_run_ends_before_the_libraries_of_its_loggers(runs):
    """Though they have registered later what they do at exit."""
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "AFNIO_RUNS": str(runs),
            "PYTHONPATH": str(Path(afnio.__file__).parent.parent),
        },
    )
    assert done.stdout.split("\n")[:2] == ["logger COMPLETED", "library closed"]
    assert done.stderr == ""
