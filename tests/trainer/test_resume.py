"""Checkpoints, and going on from them: exactly, wherever the program was killed."""

from __future__ import annotations

import gc
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from killed_program import Killed, give_up, train
from rich.console import Console
from trainer_helpers import Agent, Growing, batch, quiet

import afnio
import afnio.cognitive as cog
from afnio import serialization, tracking
from afnio.models import ReplyCache, plan, use_cache
from afnio.models.testing import ScriptedModel
from afnio.optim.records import Change, StepRecord
from afnio.trainer import Callback, ProgressBar
from afnio.utils.data import DataLoader

DATA = [batch("1", "2"), batch("3")]
PROGRAM = Path(__file__).parent / "killed_program.py"


def output_of(folder, *arguments):
    """Run Python in a folder; it must end well. Return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(afnio.__file__).parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def outcome(result):
    """Return what must not depend on kills, as bytes."""
    kept = {name: result[name] for name in ("history", "word", "waited")}
    return json.dumps(kept, sort_keys=True).encode()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the program does when nobody kills it."""
    return train(tmp_path_factory.mktemp("whole"), 0, give_up)


class TestExactness:
    def test_killed_at_every_event(self, whole, tmp_path):
        """Wherever it ends, the resumed history is the same, byte for byte."""
        events = -whole["left"]
        assert events > 60
        for event in range(1, events + 1):
            root = tmp_path / str(event)
            with pytest.raises(Killed):
                train(root, event, give_up)
            assert outcome(train(root, 0, give_up)) == outcome(whole), event

    def test_killed_again_and_again(self, whole, tmp_path):
        """A process that gets SIGKILL every few events arrives at the same end."""

        def run(event):
            return subprocess.run(
                [sys.executable, PROGRAM, tmp_path, str(event)],
                capture_output=True,
                text=True,
                check=False,
                cwd=Path(afnio.__file__).parent.parent,
            )

        for event in (3, 9, 12, 17, 8):
            assert run(event).returncode == -signal.SIGKILL
        last = run(0)
        assert last.returncode == 0, last.stderr
        assert outcome(json.loads(last.stdout)) == outcome(whole)

    def test_a_complete_fit_has_nothing_left_to_do(self, whole, tmp_path):
        """Resuming it changes nothing; with more epochs it goes on."""
        train(tmp_path, 0, give_up)
        assert outcome(train(tmp_path, 0, give_up)) == outcome(whole)

    def test_an_epoch_cut_short_is_resumed_to_its_end(self):
        """A limit stops between steps; resumed without it, the epoch is completed."""
        short = quiet(max_steps=1)
        short.fit(Agent(), DATA)
        rest = quiet()
        rest.fit(Agent(), DATA, ckpt_path=short.last_path)
        straight = quiet()
        straight.fit(Agent(), DATA)
        assert rest.history == straight.history

    def test_after_an_epoch_that_a_hook_has_cut(self):
        """The next epoch is the one that would have come, in its order."""

        class Cutting(Agent):
            def on_train_batch_start(self, batch, batch_idx):
                return -1 if batch_idx == 2 else None

            def training_step(self, batch, batch_idx):
                self.seen.append(batch[0].data[0])
                return self.evaluate(batch)

        def fit(epochs, path=None):
            data = [batch(str(number)) for number in range(9)]
            loader = DataLoader(data, batch_size=None, shuffle=True, seed=1)
            agent, trainer = Cutting(), quiet(max_epochs=epochs)
            trainer.fit(agent, loader, ckpt_path=path)
            return agent.seen, trainer.last_path

        whole, _ = fit(2)
        first, path = fit(1)
        assert first + fit(2, path)[0] == whole

    def test_last_and_best_by_name(self):
        """A Trainer knows its own checkpoints."""
        trainer = quiet()
        agent = Agent()
        trainer.fit(agent, DATA, DATA)
        trainer.fit(agent, DATA, DATA, ckpt_path="last")
        assert trainer.global_step == 2
        assert trainer.test(Agent(), DATA, ckpt_path="last")["accuracy"] == 0.0

    def test_last_and_best_of_an_earlier_process(self):
        """A new Trainer finds what another one left in the same folder."""
        quiet(max_epochs=1).fit(Agent(), DATA, DATA)
        again = quiet(max_epochs=2)
        again.fit(Agent(), DATA, DATA, ckpt_path="last")
        assert [record.epoch for record in again.history if record.kind == "epoch"] == [
            1,
            2,
        ]
        assert quiet().validate(Agent(), DATA, ckpt_path="best")

    def test_a_fit_without_checkpoints_takes_none_of_an_older_one(self):
        """Its "best" would be another program's."""
        quiet().fit(Agent(), DATA, DATA)
        trainer = quiet(enable_checkpointing=False)
        trainer.fit(Agent(), DATA, DATA)
        with pytest.raises(ValueError, match="has written no checkpoint yet; fit"):
            trainer.test(Agent(), DATA, ckpt_path="best")

    def test_budgets_go_on(self):
        """Calls that were paid for before the kill count."""
        model = ScriptedModel("x")

        class Asking(Agent):
            def training_step(self, batch, batch_idx):
                model.chat([{"role": "user", "content": "?"}], seed=len(model.requests))
                return super().training_step(batch, batch_idx)

        first = quiet(max_epochs=1, max_calls=3)
        first.fit(Asking(), DATA)
        second = quiet(max_epochs=9, max_calls=3)
        second.fit(Asking(), DATA, ckpt_path=first.last_path)
        assert len(model.requests) == 3
        assert second.global_step == 3

    def test_several_optimizers(self):
        """Each gets its own state back; another number of them is refused."""

        class Two(Agent):
            def configure_optimizers(self):
                self.other = type(self.word)("x", role="other", requires_grad=True)
                return [Growing([self.word]), Growing([self.other])]

        trainer = quiet()
        trainer.fit(Two(), DATA)
        again, agent = quiet(), Two()
        again.fit(agent, DATA, ckpt_path=trainer.last_path)
        assert [optimizer.log for optimizer in again.optimizers] == [[], []]
        assert (agent.word.data, agent.other.data) == ("bad", "bad")
        with pytest.raises(ValueError, match="2 optimizers"):
            quiet().fit(Agent(), DATA, ckpt_path=trainer.last_path)


class TestFiles:
    def test_documented_keys(self):
        """What the documents name is there, readable with afnio.load."""
        trainer = quiet(max_epochs=2)
        trainer.fit(Agent(), DATA, DATA)
        checkpoint = serialization.load(trainer.last_path)
        assert (checkpoint["epoch"], checkpoint["batch"]) == (2, None)
        assert checkpoint["optimizer_state_dict"]["state"]
        agent = Agent(word="other")
        report = agent.load_state_dict(checkpoint["agent_state_dict"])
        assert repr(report) == "<All keys matched successfully>"
        assert agent.word.requires_grad

    def test_they_are_plain_readable_json(self):
        """Any editor shows the prompt, and the history a line a record."""
        trainer = quiet()
        trainer.fit(Agent(), DATA, DATA)
        text = trainer.best_path.read_text("utf-8")
        state = json.loads(text)["state"]
        assert state["agent_state_dict"]["items"]["word"]["state"]["data"] == "bad"
        assert state["trainer"]["history"] == [r.to_dict() for r in trainer.history]
        assert sum(line.startswith('    {"kind": ') for line in text.splitlines()) == 3

    def test_equal_fits_give_equal_bytes(self, tmp_path):
        """Nothing but time differs, and here no time passes."""

        def fit(name):
            trainer = quiet(max_epochs=2, default_root_dir=tmp_path / name)
            trainer.clock = lambda: 0.0
            trainer.fit(Agent(), DATA, DATA)
            return trainer.best_path.read_bytes(), trainer.last_path.read_bytes()

        random.seed(1)
        first = fit("one")
        random.seed(1)
        assert fit("two") == first

    def test_after_a_batch(self):
        """Between epochs the last batch is named, from 0."""
        trainer = quiet(max_steps=1)
        trainer.fit(Agent(), DATA)
        checkpoint = serialization.load(trainer.last_path)
        assert (checkpoint["epoch"], checkpoint["batch"]) == (1, 0)

    def test_only_best_and_last_are_kept(self, tmp_path):
        """Two files, whatever the number of steps."""
        quiet(max_epochs=3).fit(Agent(), DATA, DATA)
        files = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
        assert files == ["best.json", "last.json"]

    def test_best_is_the_newest_of_the_best(self):
        """Ties go to the newer one; lower values are better if so told."""
        words = ["bad", "good", "good", "bad"]
        for higher, epoch in ((True, 3), (False, 4)):
            agent = Agent(lambda params: Growing(params, texts=words))
            trainer = quiet(max_epochs=4, higher_is_better=higher)
            trainer.fit(agent, [DATA[0]], DATA)
            assert serialization.load(trainer.best_path)["epoch"] == epoch
        assert trainer.best_score == 0.0

    def test_without_checkpointing_nothing_is_written(self, tmp_path):
        """enable_checkpointing=False leaves the disk alone."""
        trainer = quiet(enable_checkpointing=False)
        trainer.fit(Agent(), DATA)
        assert (trainer.best_path, trainer.last_path) == (None, None)
        assert list(tmp_path.iterdir()) == []

    def test_a_plan_replaces_no_checkpoints(self, tmp_path):
        """What stand-ins trained is temporary, also where a directory is named."""
        trainer = quiet(default_root_dir=tmp_path)
        trainer.fit(Agent(), DATA)
        before = trainer.best_path.read_bytes()
        planned = quiet(default_root_dir=tmp_path, max_epochs=2)
        with plan():
            planned.fit(Agent(), DATA)
            planned.test(Agent(), DATA, ckpt_path="best")
            assert tmp_path not in planned.best_path.parents
            folder = planned.best_path.parent.parent
        assert trainer.best_path.read_bytes() == before
        gc.collect()
        assert not folder.exists()

    def test_a_run_keeps_its_checkpoints(self):
        """With an active run, checkpoints are in its directory."""
        run = tracking.init("me", "P")
        trainer = quiet()
        trainer.fit(Agent(), DATA)
        assert trainer.last_path == run.path / "checkpoints" / "last.json"

    @pytest.mark.parametrize("path", ["nowhere.json", "last"])
    def test_a_missing_checkpoint(self, path):
        """The message names the path."""
        with pytest.raises(ValueError, match=path):
            quiet().fit(Agent(), DATA, ckpt_path=path)

    def test_another_file(self, tmp_path):
        """A file of ours that is no checkpoint is refused."""
        serialization.save({"epoch": 1}, tmp_path / "x.hf")
        with pytest.raises(RuntimeError, match="lacks agent_state_dict"):
            quiet().fit(Agent(), DATA, ckpt_path=tmp_path / "x.hf")

    def test_callbacks_and_agents_keep_data_of_their_own(self):
        """Hooks may add to a checkpoint and read it back."""

        class Counting(Callback):
            def __init__(self):
                self.count = 0

            def on_train_batch_end(self, trainer, agent, outputs, batch, batch_idx):
                self.count += 1

            def state_dict(self):
                return {"count": self.count}

            def load_state_dict(self, state):
                self.count = state["count"]

        class Keeping(Agent):
            def on_save_checkpoint(self, checkpoint):
                checkpoint["mine"] = "kept"

            def on_load_checkpoint(self, checkpoint):
                self.seen.append(checkpoint["mine"])

        pair = [Counting(), Counting()]
        trainer = quiet(callbacks=pair)
        trainer.fit(Keeping(), DATA)
        agent, again = Keeping(), quiet(callbacks=[Counting(), Counting()])
        again.fit(agent, DATA, ckpt_path=trainer.last_path)
        assert [callback.count for callback in again.callbacks] == [2, 2]
        assert agent.seen == ["kept"]


INTERRUPTED = """
import os, signal, sys, traceback
sys.path.insert(0, {folder!r})
from trainer_helpers import Agent, batch, quiet

class Pressing(Agent):
    def training_step(self, data, batch_idx):
        if batch_idx == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return super().training_step(data, batch_idx)

agent = Pressing()
trainer = quiet(max_epochs=50)
data = [batch("1"), batch("2")]
try:
    trainer.fit(agent, data)
except KeyboardInterrupt as stop:
    print(stop)
    print(agent.training, trainer.last_path.exists(), agent.trainer_steps())
    assert trainer.interrupted and len(traceback.extract_tb(stop.__traceback__)) == 3
"""


def test_ctrl_c_says_how_to_resume(tmp_path):
    """The state of the last finished step is on disk when KeyboardInterrupt arrives."""
    code = INTERRUPTED.format(folder=str(PROGRAM.parent)).replace(
        "agent.trainer_steps()", "trainer.global_step"
    )
    printed = output_of(tmp_path, "-c", code)
    message, state = printed.splitlines()
    assert "ckpt_path=" in message
    assert "last.json" in message
    assert state.startswith("True True")


def test_decisions_are_written_once_and_read_back():
    """What optimizers have decided is in every checkpoint, as they tell it."""

    class Deciding(Growing):
        async def _astep(self, closure=None):
            await super()._astep(closure)
            change = Change(parameter=0, role="word", before="a", after=["b", "b"])
            await self._record(
                [
                    StepRecord(
                        step=len(self.history) + 1,
                        optimizer="Deciding",
                        changes=(change,),
                        accepted=True,
                        reason="new",
                    )
                ]
            )

    trainer = quiet(max_epochs=2)
    trainer.fit(Agent(Deciding), DATA)
    (optimizer,) = trainer.optimizers
    assert len(optimizer.history) == 4
    saved = serialization.load(trainer.last_path)["optimizer_state_dict"]["history"]
    assert saved == [record.to_dict() for record in optimizer.history]
    again = quiet(max_epochs=3)
    again.fit(Agent(Deciding), DATA, ckpt_path=trainer.last_path)
    (resumed,) = again.optimizers
    assert resumed.history[:4] == optimizer.history
    assert [record.step for record in resumed.history] == [1, 2, 3, 4, 5, 6]


class TestUnderACache:
    """Equal questions are told apart by their number, which a checkpoint keeps."""

    @staticmethod
    def fit(folder, mode, **options):
        """Train an agent that asks the same question in every step; return its data."""
        moods = itertools.count()
        model = ScriptedModel(lambda *_, **__: f"mood {next(moods)}")

        class Moody(Agent):
            def __init__(self):
                super().__init__()
                self.answers = []
                turns = [{"role": "user", "content": [afnio.Variable("How?", "q")]}]
                self.chat = cog.ChatCompletion(model, turns)

            def training_step(self, batch, batch_idx):
                self.answers.append(self.chat(inputs={}).data)
                return super().training_step(batch, batch_idx)

        agent, trainer = Moody(), quiet(max_epochs=2, **options)
        last = trainer.checkpoints.last_file
        with use_cache(ReplyCache(folder / "replies.sqlite", mode=mode)):
            trainer.fit(agent, DATA, ckpt_path=last if last.exists() else None)
        return agent.answers

    def test_a_resumed_run_gets_each_repetition_its_own_reply(self, tmp_path):
        """In replay, stopped after one step, or between, the answers are the same."""
        whole = self.fit(tmp_path, "record", default_root_dir=tmp_path / "whole")
        assert whole == ["mood 0", "mood 1", "mood 2", "mood 3"]
        for steps in (1, 2, 3):
            root = tmp_path / str(steps)
            first = self.fit(tmp_path, "replay", default_root_dir=root, max_steps=steps)
            rest = self.fit(tmp_path, "replay", default_root_dir=root)
            assert first + rest == whole

    def test_what_was_asked_after_the_checkpoint_is_forgotten(self, tmp_path):
        """A kill between the two files leaves too many bytes, which are cut."""
        self.fit(tmp_path, "record", default_root_dir=tmp_path / "whole")
        root = tmp_path / "r"
        self.fit(tmp_path, "replay", default_root_dir=root, max_steps=1)
        file = root / "checkpoints" / "samples.bin"
        file.write_bytes(file.read_bytes() + b"torn")
        rest = self.fit(tmp_path, "replay", default_root_dir=root)
        assert rest == ["mood 1", "mood 2", "mood 3"]
        assert len(file.read_bytes()) == 4 * 8

    def test_without_a_cache_there_is_no_such_file(self, tmp_path):
        """Nothing is counted there."""
        quiet(default_root_dir=tmp_path).fit(Agent(), DATA)
        names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
        assert names == {"best.json", "last.json"}


class TestTime:
    def test_a_resumed_fit_knows_how_long_earlier_stages_took(self, tmp_path):
        """Wall-clock time is that of both processes, tests before the fit included."""
        now = itertools.count(0, 5)

        def trainer():
            made = quiet(default_root_dir=tmp_path, max_epochs=2)
            made.clock = lambda: float(next(now))
            return made

        first = trainer()
        first.test(Agent(), DATA)
        first.fit(Agent(), DATA)
        tested, fitted = first.seconds["test"], first.seconds["fit"]
        second = trainer()
        second.fit(Agent(), DATA, ckpt_path=first.last_path)
        assert second.seconds["test"] == tested > 0
        assert second.seconds["fit"] > fitted - 5

    def test_the_same_trainer_counts_nothing_twice(self, tmp_path):
        """What it knows already is not added again."""
        trainer = quiet(default_root_dir=tmp_path)
        trainer.test(Agent(), DATA)
        tested = trainer.seconds["test"]
        trainer.fit(Agent(), DATA)
        trainer.fit(Agent(), DATA, ckpt_path="last")
        assert trainer.seconds["test"] == tested


def test_an_epoch_whose_training_is_done_shows_no_second_bar(tmp_path):
    """A fit that was stopped in a validation goes on with the validation."""

    class Stopping(Callback):
        def on_validation_start(self, trainer, agent):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quiet(default_root_dir=tmp_path, callbacks=[Stopping()]).fit(
            Agent(), DATA, DATA
        )
    file = io.StringIO()
    bar = ProgressBar(console=Console(file=file, width=120))
    trainer = quiet(default_root_dir=tmp_path, callbacks=[bar])
    trainer.fit(Agent(), DATA, DATA, ckpt_path=tmp_path / "checkpoints/last.json")
    assert "[Validation] 2/2" in file.getvalue()
    assert "[Training]" not in file.getvalue()


def test_ctrl_c_in_a_test_says_how_to_go_on(tmp_path):
    """In a run that can be started again; the traceback is the caller's line."""
    code = INTERRUPTED.format(folder=str(PROGRAM.parent))
    head, _, _ = code.partition("try:")
    head = head.replace("training_step", "test_step")
    code = f"""{head}
from afnio import tracking
tracking.init("me", "Demo", "stops")
try:
    trainer.test(agent, data)
except KeyboardInterrupt as stop:
    print(stop)
    assert trainer.interrupted
"""
    program = tmp_path / "program.py"
    program.write_text(code)
    printed = output_of(tmp_path, program)
    assert "stopped in test; to go on from there: afnio resume" in printed


def test_calls_that_a_stop_has_ended_are_told(tmp_path):
    """They may have been billed, and going on makes them again."""
    code = f"""
import os, signal, sys, threading
sys.path.insert(0, {str(PROGRAM.parent)!r})
from trainer_helpers import Agent, batch, quiet
import afnio.cognitive as cog
from afnio import Variable
from afnio.models.testing import ScriptedModel

model = ScriptedModel("x", latency_s=60)
prompt = [{{"role": "user", "content": [Variable("Say {{n}}", role="prompt")]}}]
chat = cog.ChatCompletion(model, prompt)

class Asking(Agent):
    def training_step(self, data, batch_idx):
        said = [chat(inputs={{"n": Variable(n, role="n")}}) for n in "123"]
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        return said[0].data

trainer = quiet()
try:
    trainer.fit(Asking(), [batch("1")])
except KeyboardInterrupt:
    print(trainer.summary())
"""
    printed = output_of(tmp_path, "-c", code)
    assert "3 model calls were under way when fit was stopped." in printed
