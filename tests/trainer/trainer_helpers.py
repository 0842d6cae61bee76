"""Programs small enough to train without any model."""

from __future__ import annotations

import random

import afnio.cognitive as cog
from afnio import Variable
from afnio._dispatch import call_user
from afnio.cognitive import functional as F
from afnio.optim import Optimizer
from afnio.trainer import Trainer

QUIET = {"enable_progress_bar": False, "enable_agent_summary": False}


def quiet(**options):
    """Return a Trainer that shows nothing."""
    return Trainer(**{**QUIET, "max_epochs": 1, **options})


def batch(*texts):
    """Return a batch ``(inputs, targets)``; right answers begin with ``good``."""
    return (
        Variable(list(texts), role="input"),
        Variable([f"good{text}" for text in texts], role="target"),
    )


class Growing(Optimizer):
    """Sets every parameter to the next of some texts, and notes what it saw."""

    def __init__(self, params, texts=("good", "bad", "good "), log=None, use_rng=False):
        super().__init__(params, {})
        self.texts = texts
        self.log = [] if log is None else log
        self.use_rng = use_rng

    def clear_grad(self):
        self.log.append("clear_grad")
        super().clear_grad()

    async def _astep(self, closure=None):
        self.log.append("step")
        for param in self._params():
            number = self.state[param].get("n", 0)
            text = self.texts[number % len(self.texts)]
            if self.use_rng:
                text = f"{text}{random.randrange(1000)}"
            self.state[param]["n"] = number + 1
            param.data = text


class Gated(Optimizer):
    """Keeps the candidate that the closure scores best; evaluates both at once."""

    requires_closure = True

    def __init__(self, params, candidates=("bad", "good")):
        super().__init__(params, {})
        self.candidates = candidates
        self.results = []

    async def _astep(self, closure=None):
        param = self._params()[0]
        before = param.data
        pending = []
        for text in self.candidates:
            param.data = text
            pending.append(await call_user(closure))
        param.data = before
        scores = []
        for result in pending:
            for output in result:
                await output["loss"][0]
            scores.append(sum(output["loss"][0].data for output in result))
        self.results.append(scores)
        param.data = self.candidates[scores.index(max(scores))]


class Agent(cog.Module):
    """Puts a tuned word before its input and is right when the word is ``good``."""

    def __init__(self, make_optimizer=Growing, word="bad"):
        super().__init__()
        self.word = cog.Parameter(word, role="word", requires_grad=True)
        self.make_optimizer = make_optimizer
        self.seen = []

    def forward(self, text):
        return Variable("{word}{text}").format(word=self.word, text=text)

    def evaluate(self, batch):
        text, target = batch
        loss = F.exact_match_evaluator(self(text), target)
        return {"loss": loss, "accuracy": loss[0].data / len(target.data)}

    def training_step(self, batch, batch_idx):
        self.seen.append(("train", batch_idx, self.training))
        return self.evaluate(batch)

    def validation_step(self, batch, batch_idx):
        self.seen.append(("val", batch_idx, self.training))
        return self.evaluate(batch)

    def test_step(self, batch, batch_idx):
        self.seen.append(("test", batch_idx, self.training))
        return self.evaluate(batch)

    def configure_optimizers(self):
        return self.make_optimizer(self.parameters())
