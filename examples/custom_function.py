"""Operations of your own: a Function, and an evaluator.

    python examples/custom_function.py

A Function says what it computes (`forward`) and what feedback on its result means for
its input (`backward`). An evaluator is a Function that feedback may start from. No
model is asked here, so backward is instant and free.
"""

from __future__ import annotations

import json

from afnio import Variable
from afnio.autodiff import Function, gradcheck
from afnio.autodiff.decorators import evaluator


class Field(Function):
    """Read one field of a JSON text."""

    @staticmethod
    def forward(ctx, text, name):
        ctx.save_for_backward(text)
        ctx.name = name
        return Variable(str(json.loads(text.data)[name]), role=f"{name} in {text.role}")

    @staticmethod
    def backward(ctx, feedback):
        (text,) = ctx.saved_variables
        words = f"In the field {ctx.name!r}: {feedback.data}" if feedback.data else ""
        return Variable(words, role=f"feedback to {text.role}"), None


@evaluator
class AtMost(Function):
    """Score 1 for a text of at most ``limit`` words."""

    @staticmethod
    def forward(ctx, text, limit):
        ctx.save_for_backward(text)
        ctx.excess = max(0, len(text.data.split()) - limit)
        score = Variable(int(ctx.excess == 0), role="score")
        return score, Variable(f"{ctx.excess} words too long", role="explanation")

    @staticmethod
    def backward(ctx, _score, _explanation):
        (text,) = ctx.saved_variables
        words = f"Cut {ctx.excess} words." if ctx.excess else ""
        return Variable(words, role=f"feedback to {text.role}"), None


reply = Variable(
    '{"title": "A very long title", "year": 1999}', "reply", requires_grad=True
)
score, explanation = AtMost.apply(Field.apply(reply, "title"), 2)
explanation.backward()
print(f"score {score.data}: {explanation.data}")
print(f"{reply.grad[0].role}: {reply.grad[0].data}")
assert gradcheck(lambda text: Field.apply(text, "title"), [reply])
