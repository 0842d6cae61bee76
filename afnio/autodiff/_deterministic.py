"""Evaluators that know the answer: no model is asked, forward or backward."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable
from typing import Any

from afnio._dispatch import run_sync
from afnio._variable import Variable
from afnio.autodiff import _evaluation as common
from afnio.autodiff._evaluation import Reduction
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import FunctionNode, Op

EvalFn = Callable[[Any, Any], Any]


@evaluator
class DeterministicEvaluator(Op):
    """Score each sample with a function of prediction and target.

    ``apply(prediction, target, eval_fn, eval_fn_purpose, success_fn=None,
    reduction_fn=None, reduction_fn_purpose=None)``.

    Args of apply:
        prediction: The Variable to score; a list is a batch.
        target: Text, a list of texts, or a Variable; a scalar is meant for all samples.
        eval_fn: ``eval_fn(prediction, target)`` of one sample's plain values; may be
            ``async def``. If it raises, that error is raised when the score is read.
        eval_fn_purpose: What it measures, in words.
        success_fn: ``success_fn(scores)``, whether these are the best possible; without
            it, True or 1 is.
        reduction_fn: Makes one score of a batch's; None keeps the list.
        reduction_fn_purpose: What it computes, in words.

    Model calls: none, forward or backward.

    Raises:
        InputTypeError: An argument of the wrong type.
        InputValueError: Lengths differ, or a purpose is empty.
    """

    _user_code = True

    @staticmethod
    def plan(
        prediction: Variable,
        target: Any,
        eval_fn: EvalFn,
        eval_fn_purpose: str | Variable,
        success_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn_purpose: str | Variable | None = None,
    ) -> tuple[str, ...]:
        """Validate and return the roles of score and explanation."""
        common.require_callable("eval_fn", eval_fn)
        common.require_callable("success_fn", success_fn, optional=True)
        common.require_words("eval_fn_purpose", eval_fn_purpose)
        reduction = Reduction(reduction_fn, reduction_fn_purpose)  # type: ignore[arg-type]
        common.validate(prediction, target, reduction)
        return common.roles_of(prediction)

    @staticmethod
    def wants_grad(needs: tuple[bool, ...], *args: Any) -> tuple[bool, ...]:
        """Only the prediction can receive feedback."""
        del args
        return (needs[0], *(False for _ in needs[1:]))

    @staticmethod
    def forward(
        ctx: FunctionNode,
        prediction: Variable,
        target: Any,
        eval_fn: EvalFn,
        eval_fn_purpose: str | Variable,
        success_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn_purpose: str | Variable | None = None,
    ) -> tuple[Any, Any]:
        """Score every sample, then reduce."""
        ctx.purpose = common.words(eval_fn_purpose)
        ctx.prediction = prediction
        ctx.save_for_backward(prediction)
        goal = target.data if isinstance(target, Variable) else target
        scores = _score_all(common.pairs(prediction.data, goal), eval_fn)
        ctx.evidence = tuple(
            Evidence(
                index=index,
                output=predicted,
                target=expected,
                score=score,
                success=common.succeeded(score, success_fn),
            )
            for index, (predicted, expected, score) in enumerate(scores)
        )
        if not isinstance(prediction.data, list):
            return scores[0][2], common.sentence(ctx.purpose, ctx.evidence[0])
        reduction = Reduction(reduction_fn, common.words(reduction_fn_purpose))
        total = common.reduce_scores([score for _, _, score in scores], reduction)
        words = common.batch_explanation(ctx.purpose, ctx.evidence, reduction, total)
        return total, words

    @staticmethod
    def backward(ctx: FunctionNode, *grads: Variable) -> tuple[Any, ...]:
        """Write feedback on the prediction, without asking a model."""
        (prediction,) = ctx.saved_variables

        def write(record: Evidence) -> str:
            return common.miss_feedback(ctx.purpose, str(prediction.role), record)

        result = common.gradient(prediction, ctx.evidence, grads, write)
        return (result, *(None for _ in ctx._counts[1:]))


def _score_all(
    samples: list[tuple[Any, Any]], eval_fn: EvalFn
) -> list[tuple[Any, Any, Any]]:
    scored = []
    for index, (predicted, expected) in enumerate(samples):
        if predicted is None and len(samples) > 1:
            scored.append((predicted, expected, None))
            continue
        try:
            score = eval_fn(predicted, expected)
            if inspect.isawaitable(score):
                score = run_sync(_await(score))
        except Exception as error:
            error.add_note(f"while evaluating sample {index}")
            raise
        scored.append((predicted, expected, score))
    return scored


async def _await(awaitable: Any) -> Any:
    return await awaitable


def exact_match(prediction: Any, target: Any) -> int:
    """Return 1 if both are equal, else 0."""
    return int(prediction == target)


def all_match(scores: list[Any]) -> bool:
    """Whether every score is 1."""
    return all(score == 1 for score in scores)


@evaluator
class ExactMatchEvaluator(DeterministicEvaluator):
    """Score 1 where prediction and target are equal, else 0.

    ``apply(prediction, target, reduction_fn=sum, reduction_fn_purpose="summation")``;
    everything else is as for `DeterministicEvaluator`.
    """

    @staticmethod
    def plan(  # type: ignore[override]
        prediction: Variable,
        target: Any,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
    ) -> tuple[str, ...]:
        """Validate and return the roles of score and explanation."""
        reduction = Reduction(reduction_fn, reduction_fn_purpose)  # type: ignore[arg-type]
        common.validate(prediction, target, reduction)
        return common.roles_of(prediction)

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: FunctionNode,
        prediction: Variable,
        target: Any,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
    ) -> tuple[Any, Any]:
        """Compare every sample, then reduce."""
        return DeterministicEvaluator.forward(
            ctx,
            prediction,
            target,
            exact_match,
            "exact match",
            all_match,
            reduction_fn,
            reduction_fn_purpose,
        )
