"""A training program that is killed at a chosen event; run by `test_resume`.

Usage: ``python killed_program.py ROOT EVENT``. It resumes from the last checkpoint, if
there is one, and is killed at the given event (0: never). Events are hooks of the
Trainer and writes of files. At its end it prints the history and the final word.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from trainer_helpers import Agent, Growing, batch, quiet

from afnio.trainer import Callback, EarlyStopping
from afnio.utils.data import DataLoader

HOOKS = (
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_before_backward",
    "on_before_optimizer_step",
    "on_record",
    "on_train_batch_end",
    "on_validation_start",
    "on_validation_batch_end",
    "on_train_epoch_end",
    "on_save_checkpoint",
)
DATA = [batch(str(number)) for number in range(5)]


class Killed(BaseException):
    """What ends a program that cannot be killed for real."""


def kill():
    """End the process without any goodbye."""
    os.kill(os.getpid(), signal.SIGKILL)


def give_up():
    """End the program, and leave the process to the test."""
    raise Killed


class Killer(Callback):
    """Counts events, and ends the program at one of them."""

    def __init__(self, at, end):
        self.left, self.end = at, end
        for name in HOOKS:
            setattr(self, name, self.event)

    def event(self, *_args):
        self.left -= 1
        if self.left == 0:
            self.end()

    def writing(self, replace):
        """Return a rename with an event before and after it."""

        def rename(source, target):
            self.event()
            result = replace(source, target)
            self.event()
            return result

        return rename


class Noisy(Agent):
    """Has a metric that depends on its data, its word, and global random numbers."""

    def evaluate(self, batch):
        output = super().evaluate(batch)
        trace = sum(map(ord, self.word.data + batch[0].data[0])) + random.random()
        return {**output, "trace": trace}

    def configure_optimizers(self):
        return Growing(self.parameters(), texts=("good", "bad"), use_rng=True)


def train(root, event, end):
    """Train until the end or the event; return what came of it."""
    killer = Killer(event, end)
    trainer = quiet(
        max_epochs=2,
        seed=5,
        accumulate_grad_batches=2,
        default_root_dir=root,
        callbacks=[EarlyStopping(patience=9), killer],
    )
    loader = DataLoader(DATA, batch_size=None, shuffle=True, seed=1)
    agent = Noisy()
    last = Path(root) / "checkpoints" / "last.json"
    replace = Path.replace
    Path.replace = killer.writing(replace)
    try:
        trainer.fit(agent, loader, DATA[:2], ckpt_path=last if last.exists() else None)
    finally:
        Path.replace = replace
    return {
        "history": [record.to_dict() for record in trainer.history],
        "word": agent.word.data,
        "waited": trainer.callbacks[0].wait,
        "left": killer.left,
    }


if __name__ == "__main__":
    print(json.dumps(train(sys.argv[1], int(sys.argv[2]), kill)))  # noqa: T201
