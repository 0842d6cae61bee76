"""What the tests of several modules share."""

from __future__ import annotations

import io

import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable, serialization, set_backward_model_client
from afnio.optim import TGD
from afnio.trainer import Trainer

GOOD = "Look up how many of an item are in stock."
"""What the tool has to be described as for the model to use it."""

BATCH = (["How many apple", "How many pear"], ["3", "0"])


def in_file(state):
    """Return the state as it comes back from a file."""
    file = io.BytesIO()
    serialization.save(state, file)
    return serialization.load(io.BytesIO(file.getvalue()))


class Shop(cog.Module):
    """A tool-using agent that a Trainer can train."""

    def __init__(self, model, optimizer_model, stock):
        super().__init__()
        prompt = Variable("Answer with a number. {question}", role="task")
        messages = [{"role": "user", "content": [prompt]}]
        tool = cog.Tool(stock, cog.Parameter(stock.__doc__, role="what the tool does"))
        self.agent = cog.Agent(model, messages, [tool], max_turns=3)
        self.optimizer_model = optimizer_model

    def training_step(self, batch, batch_idx):
        """Score the answers."""
        questions, golds = batch
        answers = self.agent(inputs={"question": questions})
        loss = F.exact_match_evaluator(answers, golds)
        return {"loss": loss, "accuracy": loss[0].data / len(golds)}

    def configure_optimizers(self):
        """Learn the tool's description."""
        return TGD(self.parameters(), model_client=self.optimizer_model)

    def learn(self, critic, folder):
        """Train for two epochs."""
        trainer = Trainer(
            max_epochs=2,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_agent_summary=False,
            default_root_dir=folder,
        )
        with set_backward_model_client(critic):
            trainer.fit(self, [BATCH])
