"""Programs and evaluations that several tests use."""

from __future__ import annotations

from afnio import Variable
from afnio import cognitive as cog
from afnio.evaluation import Evaluation, SampleResult
from afnio.models.testing import ScriptedModel


class Capitals(cog.Module):
    """Answers with the capital of a country, from a script."""

    def __init__(self, replies=None):
        super().__init__()
        self.model = ScriptedModel(
            replies or {"Italy": "Rome", "France": "Paris", "": "London"}
        )
        self.prompt = cog.Parameter("Name the capital of {country}.", role="prompt")
        messages = [{"role": "user", "content": [self.prompt]}]
        self.chat = cog.ChatCompletion(self.model, messages)

    def forward(self, country):
        """Ask for one country."""
        return self.chat(inputs={"country": country})


DATA = [
    {"country": "Italy", "target": "Rome"},
    {"country": "France", "target": "Paris"},
    {"country": "Spain", "target": "Madrid"},
]


class Graded(Capitals):
    """Capitals, with a score of its own."""

    def test_step(self, batch, batch_idx):
        """Score a batch of (country, capital)."""
        country, target = batch
        answer = self(Variable(country))
        return cog.exact_match_evaluator(answer, target)


def evaluation(scores, name="eval", keys=None):
    """Return an evaluation with these scores; None is an error."""
    keys = keys or [f"k{number}" for number in range(len(scores))]
    return Evaluation(
        name=name,
        samples=tuple(
            SampleResult(
                index=index,
                key=key,
                score=score,
                error="BadRequestError: down" if score is None else None,
            )
            for index, (key, score) in enumerate(zip(keys, scores, strict=True))
        ),
    )
