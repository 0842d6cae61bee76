"""A run that stops at its budget, and goes on later where it stopped.

    python examples/budgeted_run.py [--model provider/name]

The worst case of every call is reserved before it is sent, so a budget is never
exceeded, whatever runs at the same time. What was reached is in a checkpoint. A run on
record (`afnio.tracking.init`) that was killed goes on with `afnio resume`.
"""

from __future__ import annotations

import tempfile

from _models import choose_models

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.cognitive.parameter import Parameter
from afnio.models.testing import feedback, in_tags
from afnio.optim import TGD
from afnio.trainer import Trainer

DATA = [(f"{n} plus {n}?", str(2 * n)) for n in range(1, 21)]


class Sums(cog.Module):
    """One prompt, one question, one call."""

    def __init__(self, model, editor):
        super().__init__()
        self.task = Parameter("Answer.", role="system prompt")
        messages = [
            {"role": "system", "content": [self.task]},
            {"role": "user", "content": [Variable("{question}", role="question")]},
        ]
        self.chat = cog.ChatCompletion(model, messages)
        self.optimizer = TGD([self.task], model_client=editor)

    def forward(self, question):
        return self.chat(inputs={"question": question})

    def training_step(self, batch, batch_idx):
        question, answer = batch
        return F.exact_match_evaluator(self(question), answer)

    def configure_optimizers(self):
        return self.optimizer


def student(messages, **_):
    """Play a model that ends with a full stop, until told not to."""
    number = str(2 * int(messages[-1]["content"].split()[0]))
    return number if "nothing else" in messages[0]["content"] else f"{number}."


model, critic, editor = choose_models(
    student,
    feedback("Write the number without a full stop."),
    in_tags("Answer with the number and nothing else."),
)
afnio.set_backward_model_client(critic)
folder = tempfile.mkdtemp()

first = Trainer(max_epochs=3, max_calls=40, default_root_dir=folder)
first.fit(Sums(model, editor), DATA)
print(f"stopped after {first.global_step} of 60 steps: {first.stop_reason}")

program = Sums(model, editor)  # as in a new process; its prompt is in the checkpoint
second = Trainer(max_epochs=3, default_root_dir=folder)
second.fit(program, DATA, ckpt_path=first.last_path)
print(f"finished after {second.global_step} steps; {program.task.data!r}")
