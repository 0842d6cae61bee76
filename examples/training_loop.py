"""A training loop by hand: forward, score, backward, step. No Trainer.

    python examples/training_loop.py [--model provider/name]

The loop reads like one of PyTorch's, and its calls overlap: nothing waits until a score
is read.
"""

from __future__ import annotations

from _models import choose_models

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.cognitive.parameter import Parameter
from afnio.models.testing import feedback, in_tags
from afnio.optim import TGD

CAPITALS = {"France": "Paris", "Italy": "Rome", "Peru": "Lima", "Kenya": "Nairobi"}


class Program(cog.Module):
    """One prompt, one question, one call."""

    def __init__(self, model):
        super().__init__()
        self.task = Parameter("Answer the question.", role="system prompt")
        question = Variable("What is the capital of {country}?", role="question")
        messages = [
            {"role": "system", "content": [self.task]},
            {"role": "user", "content": [question]},
        ]
        self.chat = cog.ChatCompletion(model, messages, temperature=0)

    def forward(self, country):
        return self.chat(inputs={"country": country})


def student(messages, **_):
    """Play a model that knows the answer, and chats until it is told not to."""
    city = next(city for land, city in CAPITALS.items() if land in str(messages[-1]))
    return city if "only" in messages[0]["content"] else f"The capital is {city}!"


model, critic, editor = choose_models(
    student,
    feedback("The answer must be the name of the city and nothing else."),
    in_tags("Answer the question with the name of the city only."),
)
program = Program(model)
optimizer = TGD(program.parameters(), model_client=editor)
afnio.set_backward_model_client(critic)

for epoch in range(2):
    losses = [F.exact_match_evaluator(program(c), a) for c, a in CAPITALS.items()]
    print(f"epoch {epoch}: {sum(score.data for score, _ in losses)} of {len(losses)}")
    afnio.autodiff.backward([explanation for _, explanation in losses])
    optimizer.step()
    optimizer.zero_grad()
print(f"\nthe prompt now: {program.task.data}")
