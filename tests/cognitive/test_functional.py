"""Tests of afnio.cognitive.functional."""

import pytest

import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.autodiff import basic_ops, evaluator, lm_ops
from afnio.models.testing import ScriptedModel


def _asked(text):
    return [{"role": "user", "content": [Variable(text, "question")]}]


def _both(function, op, *args, **kwargs):
    def described(result):
        results = result if isinstance(result, tuple) else (result,)
        return [(r.data, r.role, r.requires_grad) for r in results]

    made, expected = function(*args, **kwargs), op.apply(*args, **kwargs)
    assert described(made) == described(expected)
    return made


def test_add_sum_split_are_the_operations():
    """F01: the functions return what the operations return."""
    a, b = Variable("a b", "x", requires_grad=True), Variable("c", "y")
    assert _both(F.add, basic_ops.Add, a, b).data == "a bc"
    assert _both(F.sum, basic_ops.Sum, [a, b]).data == "<ITEM>a b</ITEM><ITEM>c</ITEM>"
    assert [part.data for part in _both(F.split, basic_ops.Split, a)] == ["a", "b"]


def test_model_functions_are_the_operations():
    """F01: the same, for those that ask a model."""
    reply = '{"score": 1, "explanation": "fine"}'
    model = ScriptedModel(reply)
    args = (model, _asked("Say {word}"), {"word": "hi"})
    made = _both(F.chat_completion, lm_ops.ChatCompletion, *args, temperature=0)
    assert made.data == reply
    assert model.requests[0].args["temperature"] == 0
    args = (model, _asked("Judge {prediction}"), Variable("x", "answer"))
    score, why = _both(F.lm_judge_evaluator, evaluator.LMJudgeEvaluator, *args)
    assert (score.data, why.data) == (1, "fine")


def test_evaluators_are_the_operations():
    """F01: the same, for evaluators without a model."""
    p = Variable(["a", "b"], "answer", requires_grad=True)
    score, _ = _both(
        F.exact_match_evaluator, evaluator.ExactMatchEvaluator, p, ["a", "c"]
    )
    assert score.data == 1
    score, _ = _both(
        F.exact_match_evaluator,
        evaluator.ExactMatchEvaluator,
        p,
        ["a", "c"],
        None,
        None,
    )
    assert score.data == [1, 0]


def test_evaluators_of_form_are_the_operations():
    """F01: the same, for those that check the form, and for combinations."""
    p = Variable(["A", "b"], "answer", requires_grad=True)
    op = evaluator.ExactMatchEvaluator
    args = (p, ["a", {"b", "c"}], None, None, "casefold", 0.1)
    assert _both(F.exact_match_evaluator, op, *args)[0].data == [1, 1]
    args = (p, "[ab]", "match", None)
    first = _both(F.regex_evaluator, evaluator.RegexEvaluator, *args)
    second = F.exact_match_evaluator(p, "A")
    assert first[0].data == [0, 1]
    op = evaluator.JSONSchemaEvaluator
    assert _both(F.json_schema_evaluator, op, p, {})[0].data == 0
    args = ([first, second], [3, 1], ["form", "right"], None)
    both = _both(F.weighted_evaluator, evaluator.WeightedEvaluator, *args)
    assert both[0].data == [0.25, 0.75]


def test_pairwise_judge_is_the_operation():
    """F01: the same, for comparisons; all options reach the judge."""
    model = ScriptedModel('{"winner": "tie", "explanation": "alike"}')
    args = (model, _asked("{first} {second} {x}"), Variable("a"), "b", {"x": "y"})
    op = evaluator.PairwiseJudgeEvaluator
    both = _both(F.pairwise_judge_evaluator, op, *args, swap=False, temperature=0)
    assert both[0].data == 0.5
    assert [request.args["temperature"] for request in model.requests] == [0, 0]


def test_deterministic_evaluator_has_defaults():
    """F02: success and reduction may be left out."""
    p = Variable(["green", "blue"], "colour")
    score, _ = F.deterministic_evaluator(p, ["red", "blue"], str.__eq__, "equality")
    assert score.data == [False, True]


def test_sum_is_an_attribute_but_not_starred():
    """`cog.sum` exists; a star import leaves the built-in alone."""
    assert cog.sum is F.sum
    namespace = {}
    exec("from afnio.cognitive import *", namespace)
    assert "sum" not in namespace
    assert namespace["Sum"] is cog.Sum


@pytest.mark.parametrize("module", [cog, cog.functional, cog.modules])
def test_exports_are_sorted_and_exist(module):
    """Every exported name exists, in order."""
    assert list(module.__all__) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
