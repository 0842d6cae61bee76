"""EarlyStopping and HistoryLogger."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from trainer_helpers import Agent, Growing, batch, quiet

from afnio.trainer import EarlyStopping, HistoryLogger, Trainer

DATA = [batch("1")]


def watch(stopper, values, **metrics):
    """Show the callback one value per epoch; return the epoch it stops at, from 1."""
    trainer = Trainer()
    trainer.monitor = "val_loss"
    for epoch, value in enumerate(values, 1):
        trainer.logged_metrics = {"val_loss": value, **metrics}
        stopper.on_train_epoch_end(trainer, SimpleNamespace())
        if trainer.should_stop:
            return epoch
    return None


@pytest.mark.parametrize(
    ("options", "values", "stops"),
    [
        ({"patience": 1}, [1, 2, 2, 2], 4),
        ({"patience": 1}, [1, 2, 1, 3, 3, 4], None),
        ({"patience": 0, "mode": "min"}, [3, 2, 1, 1], 4),
        ({"patience": 0, "min_delta": 0.5}, [1, 1.4], 2),
        ({"patience": 0}, [float("nan"), 1, 2], None),
    ],
)
def test_when_it_stops(options, values, stops):
    """Epochs without improvement are counted, as many as patience are tolerated."""
    assert watch(EarlyStopping(**options), values) == stops


def test_it_says_why():
    """The reason is on the trainer."""
    trainer = quiet(max_epochs=9, callbacks=[EarlyStopping(patience=1)])
    agent = Agent(lambda params: Growing(params, texts=["bad"]))
    trainer.fit(agent, DATA, DATA)
    assert trainer.current_epoch == 3
    assert trainer.stop_reason == "val_loss has not improved for 2 epochs"


def test_a_metric_that_is_not_there_is_named():
    """A typing mistake does not wait for ever."""
    with pytest.raises(ValueError, match=r"'val_acc'.*val_loss"):
        watch(EarlyStopping("val_acc"), [1])


@pytest.mark.parametrize("wrong", [{"patience": -1}, {"min_delta": -1}, {"mode": "up"}])
def test_impossible_options(wrong):
    """Each is a ValueError."""
    with pytest.raises(ValueError, match=r"expected|>= 0"):
        EarlyStopping(**wrong)


def test_it_continues_from_a_checkpoint():
    """Waiting goes on where it was."""
    stopper, other = EarlyStopping(patience=2), EarlyStopping(patience=2)
    watch(stopper, [5, 4])
    other.load_state_dict(stopper.state_dict())
    assert watch(other, [4, 4]) == 2


def test_history_on_file(tmp_path):
    """The file holds what trainer.history holds, and a new fit starts it anew."""
    path = tmp_path / "deep" / "history.jsonl"
    for _ in range(2):
        trainer = quiet(callbacks=[HistoryLogger(path)])
        trainer.fit(Agent(), DATA, DATA)
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert lines == [record.to_dict() for record in trainer.history]


def test_a_file_that_cannot_be_written_warns_once(tmp_path):
    """Training goes on."""
    trainer = quiet(callbacks=[HistoryLogger(tmp_path)])
    with pytest.warns(RuntimeWarning, match="training goes on") as warned:
        trainer.fit(Agent(), DATA, DATA)
    assert len(warned) == 1
    assert trainer.global_step == 1
