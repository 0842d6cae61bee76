"""Evaluators that know the answer: no model is asked, forward or backward."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from afnio._dispatch import gather, run_sync
from afnio._variable import Variable
from afnio.autodiff import _evaluation as common
from afnio.autodiff._evaluation import Reduction
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import FunctionNode, Op

EvalFn = Callable[[Any, Any], Any]
_WHERE: Final = "while evaluating sample {}"


class KnowingEvaluator(Op):
    """An evaluation of a prediction, its first argument, by a `Rule`."""

    @staticmethod
    def calls_user(*args: Any, **kwargs: Any) -> bool:
        """A rule may be the user's, or take its time."""
        del args, kwargs
        return True

    @staticmethod
    def wants_grad(needs: tuple[bool, ...], *args: Any) -> tuple[bool, ...]:
        """Only the prediction can receive feedback."""
        del args
        return (needs[0], *(False for _ in needs[1:]))

    @staticmethod
    def backward(ctx: FunctionNode, *grads: Variable) -> tuple[Any, ...]:
        """Write feedback on the prediction, without asking a model."""
        (prediction,) = ctx.saved_variables
        result = common.gradient(prediction, ctx.evidence, grads, ctx.write)
        return (result, *(None for _ in ctx._counts[1:]))


@evaluator
class DeterministicEvaluator(KnowingEvaluator):
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
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        common.validate(prediction, target, reduction)
        return common.roles_of(prediction)

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
        goal = target.data if isinstance(target, Variable) else target
        samples = common.pairs(prediction.data, goal)
        rule = Rule(eval_fn, common.words(eval_fn_purpose), success_fn)
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        return evaluate(ctx, prediction, samples, rule, reduction)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one sample is scored, and what is said about it."""

    eval_fn: EvalFn
    purpose: str
    success_fn: Callable[[list[Any]], Any] | None = None
    say: Callable[[Evidence], str] | None = None
    """Explains one sample; None uses the sentence that all evaluators share."""
    write: Callable[[Evidence], str] | None = None
    """Words the feedback on a sample that was wrong; None uses the shared words."""
    show: Callable[[Any], Any] | None = None
    """What the evidence shows of a target; None shows it as it is."""


def evaluate(
    ctx: FunctionNode,
    prediction: Variable,
    samples: list[tuple[Any, Any]],
    rule: Rule,
    reduction: Reduction,
) -> tuple[Any, Any]:
    """Score every sample by a rule, reduce, and keep what backward needs."""
    batch = isinstance(prediction.data, list)
    ctx.save_for_backward(prediction)
    ctx.write = rule.write or functools.partial(
        common.miss_feedback, rule.purpose, str(prediction.role)
    )
    ctx.evidence = tuple(
        Evidence(
            index=index,
            output=predicted,
            target=expected if rule.show is None else rule.show(expected),
            score=score,
            success=common.succeeded(score, rule.success_fn),
        )
        for index, (predicted, expected, score) in enumerate(
            _score_all(samples, rule.eval_fn, batch=batch)
        )
    )
    return common.conclude(
        rule.purpose, ctx.evidence, reduction, batch=batch, say=rule.say
    )


def _score_all(
    samples: list[tuple[Any, Any]], eval_fn: EvalFn, *, batch: bool
) -> list[tuple[Any, Any, Any]]:
    """Score every sample; what has to be awaited, for all at once."""
    scores: list[Any] = []
    waiting: dict[int, Any] = {}
    try:
        for index, (predicted, expected) in enumerate(samples):
            is_missing = predicted is None and batch
            score = None if is_missing else eval_fn(predicted, expected)
            scores.append(score)
            if inspect.isawaitable(score):
                waiting[index] = score
    except BaseException as error:
        for awaitable in waiting.values():
            if inspect.iscoroutine(awaitable):
                awaitable.close()
        if isinstance(error, Exception):
            error.add_note(_WHERE.format(len(scores)))
        raise
    if waiting:
        found = run_sync(gather(_await(*item) for item in waiting.items()))
        for index, score in zip(waiting, found, strict=True):
            scores[index] = score
    return [(*sample, score) for sample, score in zip(samples, scores, strict=True)]


async def _await(index: int, awaitable: Any) -> Any:
    try:
        return await awaitable
    except Exception as error:
        error.add_note(_WHERE.format(index))
        raise
