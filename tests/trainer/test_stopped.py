"""Programs that were stopped, and started again with AFNIO_RESUME."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from trainer_helpers import Agent, batch, quiet

import afnio
from afnio import serialization, tracking
from afnio.tracking import read_run

PROGRAM = Path(__file__).parent / "stopped_program.py"
ROOT = Path(afnio.__file__).parent.parent
DATA = [batch("1", "2"), batch("3")]


def start(folder, *args, **env):
    """Run the program."""
    return subprocess.run(
        [sys.executable, PROGRAM, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )


def only_run(folder):
    """Return the one run that a folder has."""
    (file,) = folder.rglob("run.json")
    return file.parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the program does when nobody stops it."""
    done = start(tmp_path_factory.mktemp("whole"), 0)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestResumedPrograms:
    @pytest.mark.parametrize("step", [1, 4, 6])
    def test_killed_and_resumed(self, whole, tmp_path, step):
        """The same history in the same run; the first test is not paid twice."""
        assert start(tmp_path, step).returncode == -signal.SIGKILL
        path = only_run(tmp_path)
        assert read_run(path)[0]["status"] == "CRASHED"
        done = start(tmp_path, step, AFNIO_RESUME=str(path))
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        for key in ("history", "word", "looks"):
            assert found[key] == whole[key]
        assert only_run(tmp_path) == path == Path(found["run"])
        data, events = read_run(path)
        assert data["status"] == "COMPLETED"
        tests = [event for event in events if event["type"] == "test"]
        assert len(tests) == 2

    def test_a_complete_program_has_nothing_left_to_pay(self, whole, tmp_path):
        """Every test and step is on record already."""
        done = start(tmp_path, 0)
        path = only_run(tmp_path)
        again = json.loads(start(tmp_path, 0, AFNIO_RESUME=str(path)).stdout)
        assert again["calls"] == 0
        assert json.loads(done.stdout)["calls"] == whole["calls"] > 0
        assert again["history"] == whole["history"]

    def test_ctrl_c_names_the_command(self, tmp_path):
        """The message says how to resume, and the exit code is that of SIGINT."""
        done = start(tmp_path, 3, int(signal.SIGINT))
        assert done.returncode in {130, -signal.SIGINT}
        assert f"afnio resume {only_run(tmp_path)}" in done.stderr
        assert read_run(only_run(tmp_path))[0]["status"] == "CRASHED"


class TestInThisProcess:
    def test_fit_reopens_the_run_of_a_program_that_starts_none(self, monkeypatch):
        """AFNIO_RESUME alone is enough, once."""
        run = tracking.init("me", "P")
        first = quiet(max_steps=1)
        first.fit(Agent(), DATA)
        run.finish(status="FAILED")
        forget(run)
        monkeypatch.setenv("AFNIO_RESUME", str(run.path))
        second = quiet()
        second.fit(Agent(), DATA)
        assert second.history[0] == first.history[0]
        assert tracking.get_active_run().path == run.path
        third = quiet()
        third.fit(Agent(), DATA)
        assert third.global_step == 2
        assert [record.step for record in third.history] == [1, 2, 2]

    def test_stopped_before_the_first_checkpoint(self, monkeypatch):
        """The fit starts anew, in the same run."""
        run = tracking.init("me", "P")
        run.finish(status="FAILED")
        forget(run)
        monkeypatch.setenv("AFNIO_RESUME", str(run.path))
        trainer = quiet()
        trainer.fit(Agent(), DATA)
        assert trainer.global_step == 2
        assert trainer.last_path.parent.parent == run.path

    def test_stopped_in_a_later_fit(self, monkeypatch):
        """It cannot know the first one's result, and says what to do."""
        run = tracking.init("me", "P")
        for _ in range(2):
            quiet().fit(Agent(), DATA)
        run.finish(status="FAILED")
        forget(run)
        monkeypatch.setenv("AFNIO_RESUME", str(run.path))
        with pytest.raises(RuntimeError, match=r"fit\(\) number 2.*ckpt_path="):
            quiet().fit(Agent(), DATA)

    def test_a_checkpoint_of_another_run(self, monkeypatch, tmp_path):
        """Two runs that share a folder are not mixed up."""
        runs = [tracking.init("me", "P") for _ in range(2)]
        trainer = quiet(default_root_dir=tmp_path)
        trainer.fit(Agent(), DATA)
        tracking.finish()
        forget(runs[0])
        monkeypatch.setenv("AFNIO_RESUME", str(runs[0].path))
        with pytest.raises(RuntimeError, match="written by another run"):
            quiet(default_root_dir=tmp_path).fit(Agent(), DATA)

    def test_checkpoints_name_their_run(self):
        """So that they can be told apart."""
        run = tracking.init("me", "P")
        trainer = quiet()
        trainer.fit(Agent(), DATA)
        state = serialization.load(trainer.last_path)["trainer"]
        assert (state["run"], state["fit"]) == (run.uuid, 1)


def forget(run):
    """Let this process look like another one that has never seen the run."""
    from afnio.tracking import run_context

    run_context._Process.opened.discard(run.path)
