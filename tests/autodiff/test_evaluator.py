"""Evaluators: scores, explanations, and feedback without a model."""

from __future__ import annotations

import asyncio

import pytest

from afnio import Variable
from afnio.autodiff.evaluator import DeterministicEvaluator, ExactMatchEvaluator


def exact(prediction, target):
    """Compare one sample."""
    return 1 if prediction == target else 0


def prediction(data="green", requires_grad=True):
    """Return a prediction."""
    return Variable(data, "color prediction", requires_grad)


def test_e01_scalar_score_explanation_and_roles():
    """A scalar miss scores 0 and says what was compared."""
    score, explanation = DeterministicEvaluator.apply(
        prediction(), Variable("red"), exact, "exact match", None, None, None
    )
    assert score.data == 0
    assert score.role == "Evaluation result score of color prediction"
    assert explanation.role == "Evaluation result explanation of color prediction"
    for words in ("exact match", "'green'", "'red'", "score: 0"):
        assert words in explanation.data
    assert score.requires_grad
    assert explanation.requires_grad


def test_e02_graph():
    """One node, two edges, and outputs 0 and 1."""
    score, explanation = DeterministicEvaluator.apply(
        prediction(), Variable("red"), exact, "exact match"
    )
    assert score.grad_fn is explanation.grad_fn
    assert score.grad_fn.name().startswith("DeterministicEvaluatorBackward")
    (node, nr), no_edge = score.grad_fn.next_functions
    assert (node.name(), nr) == ("AccumulateGrad", 0)
    assert no_edge == (None, 0)
    assert (score.output_nr, explanation.output_nr) == (0, 1)


def test_e03_batch_with_reduction():
    """The reduced score ends the explanation, after every sample's."""
    score, explanation = DeterministicEvaluator.apply(
        prediction(["green", "blue"]),
        Variable(["red", "blue"]),
        exact,
        "exact match",
        None,
        sum,
        "summation",
    )
    assert score.data == 1
    assert explanation.data.endswith("score: 1.")
    assert "'green'" in explanation.data
    assert "summation" in explanation.data
    assert [record.score for record in score.evidence] == [0, 1]


@pytest.mark.parametrize(("target", "score"), [("red", 0), ("green", 1)])
def test_e04_exact_match_scalar(target, score):
    """Equal is 1, different is 0; no reduction touches a scalar."""
    assert ExactMatchEvaluator.apply(prediction(), target)[0].data == score


def test_e05_exact_match_batch():
    """The default is the sum; without reduction a list remains."""
    batch = prediction(["green", "blue"])
    assert ExactMatchEvaluator.apply(batch, ["red", "blue"])[0].data == 1
    score, explanation = ExactMatchEvaluator.apply(batch, ["red", "blue"], None, None)
    assert score.data == [0, 1]
    assert len(explanation.data) == 2


def test_e06_all_equal_gives_one_empty_gradient():
    """Nothing to improve is one empty text, and needs no model."""
    batch = prediction(["a", "b"])
    ExactMatchEvaluator.apply(batch, ["a", "b"])[1].backward()
    assert [grad.data for grad in batch.grad] == [""]
    assert batch.grad[0].role == "feedback to color prediction"


def test_e07_success_fn_declares_success():
    """What success_fn calls the best gets empty feedback."""
    single = prediction()
    score, explanation = DeterministicEvaluator.apply(
        single, "red", lambda p, t: 0.9, "closeness", lambda s: s[0] > 0.5
    )
    explanation.backward()
    assert score.data == 0.9
    assert [grad.data for grad in single.grad] == [""]
    assert score.evidence[0].success


def test_wrong_samples_get_feedback_right_ones_none():
    """Feedback has the shape of the batch and names both values."""
    batch = prediction(["a", "b"])
    ExactMatchEvaluator.apply(batch, ["a", "c"])[0].backward()
    right, wrong = batch.grad[0].data
    assert right == ""
    assert "<prediction>\nb\n</prediction>" in wrong
    assert "<target>\nc\n</target>" in wrong


@pytest.mark.parametrize(("p", "t"), [(["a", "b"], ["a", "b", "c"]), ("a", ["a", "b"])])
def test_e08_lengths_must_fit(p, t):
    """Every sample needs its target."""
    with pytest.raises(ValueError, match="target"):
        ExactMatchEvaluator.apply(prediction(p), t)


def test_e09_purposes_must_say_something():
    """Empty purposes are refused; so is a reduction without one."""
    with pytest.raises(ValueError, match="eval_fn_purpose"):
        DeterministicEvaluator.apply(prediction(), "red", exact, "")
    with pytest.raises(ValueError, match="reduction_fn_purpose"):
        DeterministicEvaluator.apply(
            prediction(["a"]), ["a"], exact, "x", None, sum, ""
        )
    with pytest.raises(TypeError, match="reduction_fn_purpose"):
        DeterministicEvaluator.apply(prediction(["a"]), ["a"], exact, "x", None, sum)


@pytest.mark.parametrize(
    "args",
    [("green", "red", exact), (Variable("a"), 3, exact), (Variable("a"), "b", 1)],
)
def test_e10_wrong_types_are_refused(args):
    """A text as prediction, a number as target, a number as function."""
    with pytest.raises(TypeError):
        DeterministicEvaluator.apply(*args, "purpose")


def test_e17_untracked_prediction_gives_untracked_outputs():
    """A tracked target alone records nothing: it could receive no feedback."""
    target = Variable("red", requires_grad=True)
    score, explanation = ExactMatchEvaluator.apply(prediction("a", False), target)
    assert score.is_leaf
    assert not explanation.requires_grad


def test_a_failing_eval_fn_is_an_error_not_a_score():
    """The user's error is raised, naming the sample."""
    with pytest.raises(ZeroDivisionError) as caught:
        DeterministicEvaluator.apply(
            prediction(["a", "b"]), ["a", "b"], lambda p, t: 1 / (p != "b"), "x"
        )[0].data
    assert caught.value.__notes__[0] == "while evaluating sample 1"


def test_async_eval_fn_is_awaited():
    """eval_fn may be a coroutine function."""

    async def score(p, t):
        return 7

    assert DeterministicEvaluator.apply(prediction(), "x", score, "p")[0].data == 7


def test_a_batch_is_awaited_all_at_once():
    """Scores that wait for something wait together; their order is the samples'."""
    everybody = asyncio.Barrier(3)

    async def score(p, t):
        if p != "late":  # the others wait for each other
            await everybody.wait()
        return len(p)

    batch = prediction(["a", "late", "ab", None, "abc"])
    scores = DeterministicEvaluator.apply(batch, "x", score, "length")[0]
    assert scores.data == [1, 4, 2, None, 3]


def test_a_failing_score_says_which_sample_and_ends_the_others():
    """Coroutines that were made are closed, those that wait are cancelled."""
    cancelled = []

    async def score(p, t):
        try:
            await asyncio.sleep(0 if p == "bad" else 60)
        except asyncio.CancelledError:
            cancelled.append(p)
            raise
        raise LookupError(p)

    def refuse(p, t):
        if p == "bad":
            raise LookupError(p)
        return score(p, t)

    for eval_fn, ended in ((score, ["a", "b"]), (refuse, [])):
        cancelled.clear()
        with pytest.raises(LookupError, match="bad") as caught:
            DeterministicEvaluator.apply(
                prediction(["a", "bad", "b"]), "x", eval_fn, "p"
            )[0].data
        assert caught.value.__notes__[0] == "while evaluating sample 1"
        assert cancelled == ended


def test_missing_predictions_do_not_count():
    """None in a batch is neither right nor wrong, and gets no feedback."""
    batch = prediction(["a", None, "c"])
    score, explanation = ExactMatchEvaluator.apply(batch, ["a", "b", "x"])
    explanation.backward()
    assert score.data == 1
    assert [bool(text) for text in batch.grad[0].data] == [False, False, True]


def test_feedback_on_the_score_is_added():
    """What a later operation said about the score joins the evaluator's words."""
    single = prediction()
    score, _ = ExactMatchEvaluator.apply(single, "red")
    score.backward(Variable("colours matter most"))
    assert single.grad[0].data.endswith("colours matter most")
