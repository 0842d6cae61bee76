"""A whole program: a run, a test, a fit and a test; run by `test_stopped`.

Usage: ``python stopped_program.py KILL_AT_STEP [SIGNAL]``. In a fresh process it gets
the signal (9: SIGKILL) at that training step, 0: never; resumed, it runs to its end.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from trainer_helpers import Agent, Growing, batch, quiet

from afnio import tracking
from afnio.models.testing import ScriptedModel
from afnio.utils.data import DataLoader

DATA = [batch(str(number)) for number in range(4)]


class Asking(Agent):
    """Asks a model in every step, so that calls can be counted."""

    def __init__(self):
        super().__init__(lambda params: Growing(params, texts=("bad", "good")))
        self.model = ScriptedModel("x")
        self.steps = 0

    def evaluate(self, batch):
        self.model.chat([{"role": "user", "content": batch[0].data[0]}])
        return super().evaluate(batch)

    def training_step(self, batch, batch_idx):
        self.steps += 1
        if not os.environ.get("AFNIO_RESUME") and self.steps == int(sys.argv[1]):
            os.kill(os.getpid(), int((*sys.argv, 9)[2]))
        return super().training_step(batch, batch_idx)


def main():
    """Test, fit and test."""
    run = tracking.init("me", "Stopped")
    agent = Asking()
    trainer = quiet(max_epochs=2, seed=1)
    trainer.test(agent, DATA)
    loader = DataLoader(DATA, batch_size=None, shuffle=True, seed=1)
    trainer.fit(agent, loader, DATA[:2])
    trainer.test(agent, DATA)
    found = {
        "history": [record.to_dict() for record in trainer.history],
        "word": agent.word.data,
        "calls": len(agent.model.requests),
        "looks": trainer.test_looks,
        "run": str(run.path),
    }
    print(json.dumps(found))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
