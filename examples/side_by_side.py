"""Compare optimizers, with controls, at an equal number of model calls.

    python examples/side_by_side.py [--model provider/name]

Every optimizer gets the same samples and the same budget. What it returns is tested on
samples that no optimizer has seen, and compared with the start sample by sample. A gain
counts if its interval is clear of 0, and if it beats the controls: nothing at all, and
rewriting without feedback. The models are simulated (_desks.py), and there is one seed:
this shows how to compare, not which optimizer is best.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import cycle

from _desks import START, editor, messages, student
from _models import choose_models

import afnio
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.cognitive.parameter import Parameter
from afnio.errors import BudgetError
from afnio.evaluation import evaluate
from afnio.models import Budget
from afnio.models.testing import feedback
from afnio.optim import GEPA, TGD, NoOp, PatchTGD, RandomRewrite, SampleClosure

CALLS = 400
TRAIN, VAL, TEST = messages(48, seed=1), messages(32, seed=2), messages(120, seed=4)
model, critic, writer = choose_models(
    student, feedback("The rule for this topic is missing or wrong."), editor
)
afnio.set_backward_model_client(critic)
prompt = Parameter(START, role="system prompt")


def route(message):
    """Name the desk that a message is for: the program to improve."""
    turns = [
        {"role": "system", "content": [prompt]},
        {"role": "user", "content": [Variable("{message}", role="message")]},
    ]
    return F.chat_completion(model, turns, {"message": message}, temperature=0)


def score(samples):
    """Return score and explanation of the answers to some samples."""
    answers = route([sample["message"] for sample in samples])
    return F.exact_match_evaluator(answers, [sample["target"] for sample in samples])


def tune(optimizer):
    """Take steps until the calls are spent; return how many were made."""
    closure = SampleClosure(score, VAL, parameters=[prompt], train=TRAIN)
    batches = cycle(TRAIN[n : n + 8] for n in range(0, len(TRAIN), 8))
    with suppress(BudgetError), Budget(calls=CALLS) as budget:
        for batch in batches:
            if optimizer.requires_closure:  # it draws samples and validates by itself
                optimizer.step(closure)
            else:
                optimizer.zero_grad()
                score(batch)[1].backward()
                optimizer.step()
    return budget.spent["calls"]


start = evaluate(route, TEST, name="start")
print(f"start: {start.mean:.2f} on {len(TEST)} test messages\n")
print("optimizer      calls  test  gain over the start, with its 95 % interval")
for kind in (NoOp, RandomRewrite, TGD, PatchTGD, GEPA):
    prompt.data = START
    calls = tune(kind([prompt]) if kind is NoOp else kind([prompt], writer))
    result = evaluate(route, TEST, name=kind.__name__)
    gain = result.compare(start)
    low, high = gain.interval
    row = f"{result.name:14}{calls:6}{result.mean:6.2f}"
    print(f"{row}  {gain.mean:+.2f} [{low:+.2f}, {high:+.2f}]")
