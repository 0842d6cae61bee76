"""Sort e-mails by urgency, sentiment and category: three prompts, one backward.

    python examples/facility_support.py [--model provider/name]

With the data set at hand, replace EMAILS by `FacilitySupport("train")`: its samples
have the same shape.
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

FIELDS = ("urgency", "sentiment", "category")
EMAILS = [
    ("The lift is stuck with a person in it!", ("high", "negative", "emergency")),
    ("Thank you for the spotless windows.", ("low", "positive", "cleaning")),
    ("Please clean the carpets this week.", ("medium", "neutral", "cleaning")),
]


class Sorter(cog.Module):
    """One learnable prompt and one call for each field."""

    def __init__(self, model):
        super().__init__()
        self.prompts, self.calls = cog.ParameterDict(), cog.ModuleDict()
        email = Variable("{email}", role="e-mail")
        for field in FIELDS:
            self.prompts[field] = Parameter(f"Give the {field}.", role=f"{field} task")
            messages = [
                {"role": "system", "content": [self.prompts[field]]},
                {"role": "user", "content": [email]},
            ]
            self.calls[field] = cog.ChatCompletion(model, messages, temperature=0)

    def forward(self, email):
        return {field: self.calls[field](inputs={"email": email}) for field in FIELDS}


def script(messages, **_):
    """Play a model that knows the answers, and writes prose unless asked for a word."""
    task, email = messages[0]["content"], messages[-1]["content"]
    answers = dict(zip(FIELDS, dict(EMAILS)[email], strict=True))
    word = next(answers[field] for field in FIELDS if field in task)
    return word if "one word" in task else f"I would say {word}."


def edit(messages, **args):
    """Play an editor that adds three words to the prompt it is shown."""
    field = next(field for field in FIELDS if f"Give the {field}." in str(messages))
    return in_tags(f"Give the {field} in one word.")(messages, **args)


model, critic, editor = choose_models(script, feedback("One word is enough."), edit)
sorter = Sorter(model)
optimizer = TGD(sorter.parameters(), model_client=editor)
afnio.set_backward_model_client(critic)
emails, answers = zip(*EMAILS, strict=True)

for epoch in range(2):
    results = sorter(list(emails))
    losses = [
        F.exact_match_evaluator(results[field], [answer[place] for answer in answers])
        for place, field in enumerate(FIELDS)
    ]
    right = {field: loss[0].data for field, loss in zip(FIELDS, losses, strict=True)}
    print(f"epoch {epoch}: right of {len(emails)}: {right}")
    afnio.autodiff.backward([explanation for _, explanation in losses])
    optimizer.step()
    optimizer.zero_grad()
for field, prompt in sorter.prompts.items():
    print(f"{field}: {prompt.data}")
