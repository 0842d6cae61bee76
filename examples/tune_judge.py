"""Tune a model that judges answers until it agrees with people.

    python examples/tune_judge.py [--model provider/name]

The judge is a program like any other: its prompt is a Parameter, its scores are held
against the labels of people, and where they differ the critique goes to the judge.
"""

from __future__ import annotations

import json

from _models import choose_models

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.autodiff.evaluator import agreement
from afnio.cognitive.parameter import Parameter
from afnio.models.testing import feedback, in_tags
from afnio.optim import TGD

REPLIES = {  # a reply to a customer, and whether people called it polite
    "We are sorry, and we will fix it today.": 1,
    "Read the manual.": 0,
    "Thank you for telling us! A refund is on its way.": 1,
    "Refunds are not possible. Please do not ask again.": 0,
}


def judge_script(messages, **_):
    """Play a judge that is fooled by the word "please", until told otherwise."""
    rubric, reply = messages[0]["content"], messages[-1]["content"]
    kind = "sorry" in reply or "Thank" in reply
    polite = kind if "tone" in rubric else kind or "Please" in reply
    return json.dumps({"score": int(polite), "explanation": "as the rubric says"})


model, critic, editor = choose_models(
    judge_script,
    feedback("Polite words do not help where the tone is dismissive."),
    in_tags("Score 1 if the tone of the reply is polite, else 0. Answer in JSON."),
)
rubric = Parameter("Score 1 if polite, else 0. Answer in JSON.", role="rubric")
messages = [
    {"role": "system", "content": [rubric]},
    {"role": "user", "content": [Variable("{prediction}", role="reply to judge")]},
]
judge = cog.LMJudgeEvaluator(model, messages, reduction_fn=None, eval_mode=False)
optimizer = TGD([rubric], model_client=editor)
afnio.set_backward_model_client(critic)

replies = Variable(list(REPLIES), role="replies")
labels = list(REPLIES.values())
for epoch in range(2):
    scores, _ = judge(prediction=replies)
    print(f"epoch {epoch}: {agreement(scores, labels)}")
    _, explanation = F.exact_match_evaluator(scores, labels, tolerance=0)
    explanation.backward()
    optimizer.step()
    optimizer.zero_grad()
print(f"\nthe rubric now: {rubric.data}")
