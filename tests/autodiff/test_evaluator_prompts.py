"""The words of feedback that evaluators write themselves, in full."""

from __future__ import annotations

import json

from afnio import Variable
from afnio.autodiff.evaluator import (
    JSONSchemaEvaluator,
    PairwiseJudgeEvaluator,
    RegexEvaluator,
)
from afnio.models.testing import ScriptedModel

REGEX = """\
The regular expression evaluation of this price gave a score of 0.
Got: <prediction>
ten {euro}
</prediction>
Expected: text that as a whole matches the regular expression <pattern>
\\d+
</pattern>
Correct what decides about the form of the price, so that it fits."""

SCHEMA = """\
This price does not fit the expected form: Price.
Got: <prediction>
[]
</prediction>
Errors, each after the place where it is:
<errors>
$: [] is not of type 'object'
</errors>
Correct what decides about the form of the price, so that it is one JSON value that \
fits, and nothing else."""

PAIRWISE = """\
A judge compared this price with a reference answer and did not prefer it.
Shown as the first answer it lost: cheaper
Shown as the second answer it tied: same {first}
Work out what made the reference as good or better, and correct what led to that."""


def feedback(op, data, *args):
    """Return what an evaluator says about a wrong prediction."""
    prediction = Variable(data, "price", requires_grad=True)
    op(prediction, *args)[0].backward()
    return prediction.grad[0].data


def test_words_on_the_form_of_text():
    """Pattern and prediction are fenced, and never read as templates."""
    said = feedback(RegexEvaluator.apply, "ten {euro}", r"\d+", "fullmatch")
    assert said == REGEX


def test_words_on_the_form_of_json():
    """The schema is named, and errors follow their paths."""
    schema = {"title": "Price", "type": "object"}
    assert feedback(JSONSchemaEvaluator.apply, "[]", schema) == SCHEMA


def test_words_on_a_comparison():
    """Each order is told with its outcome and the judge's reason."""
    judge = ScriptedModel(
        [
            json.dumps({"winner": "second", "explanation": "cheaper"}),
            json.dumps({"winner": "tie", "explanation": "same {first}"}),
        ]
    )
    ask = [{"role": "user", "content": [Variable("{first}, {second}?")]}]

    def compare(prediction):
        return PairwiseJudgeEvaluator.apply(judge, ask, prediction, "5")

    assert feedback(compare, "10") == PAIRWISE
