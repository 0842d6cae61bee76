"""LMJudgeEvaluator: a model scores each sample and explains why."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from afnio._dispatch import call_user, gather
from afnio._text import fill, shorten
from afnio._variable import Variable
from afnio.autodiff import _chat
from afnio.autodiff import _evaluation as common
from afnio.autodiff._credit import Call, aassign
from afnio.autodiff._evaluation import Reduction
from afnio.autodiff._merge import batched, is_empty
from afnio.autodiff._ops_common import known
from afnio.autodiff._prompts import JUDGE_FEEDBACK, JUDGE_SELF_REVIEW
from afnio.autodiff._verdict_evaluator import (
    Form,
    ajudge,
    check_range,
    constrained,
    score_form,
)
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import FunctionNode, Op
from afnio.autodiff.lm_ops import place_grads, require_client
from afnio.errors import InputTypeError, InputValueError
from afnio.models._chat_client import ChatClient

_MESSAGES: Final = 1
_PREDICTION: Final = 2
_INPUTS: Final = 4
_EVAL_MODE: Final = 8
"""Positions among the arguments."""


@evaluator
class LMJudgeEvaluator(Op):
    """Ask a model for a score and an explanation of each sample.

    ``apply(forward_model_client, messages, prediction, target=None, inputs=None,
    success_fn=None, reduction_fn=sum, reduction_fn_purpose="summation",
    eval_mode=True, score_range=None, response_schema=False, **completion_args)``.

    Args of apply:
        forward_model_client: The judge.
        messages: Its instructions; they may use ``{prediction}``, ``{target}`` and the
            names of ``inputs``. The judge must answer a JSON object with the keys
            ``score`` and ``explanation``.
        prediction: The Variable to judge; a list is a batch.
        target: What was expected, if anything.
        inputs: Values of further placeholders.
        success_fn: Whether scores are the best possible; without it, the end of
            ``score_range`` is, or True or 1.
        reduction_fn: Makes one score of a batch's; None keeps the list.
        reduction_fn_purpose: What it computes, in words.
        eval_mode: True sends feedback to the prediction; False trains the judge
            itself: feedback goes to messages and inputs.
        score_range: ``(lowest, highest)``: any other score is no verdict, so the judge
            is asked again. Without it, a number, text or bool is taken.
        response_schema: Constrain the reply to a verdict, by ``response_format``, where
            the provider can.
        **completion_args: Passed to the client unchanged.

    Model calls: one per sample, and up to 2 more for each while its reply is unusable;
    backward none if ``eval_mode``, else one critic call per sample with feedback.

    Raises:
        InputTypeError: An argument of the wrong type.
        InputValueError: Lengths differ, or an input is called prediction or target.
        ReplyError: When the score is read: the judge's replies were unusable.

    A scalar prediction of None, and a reply without a usable score after all tries, are
    errors, not scores; a sample of a batch that is None has no score.
    """

    @staticmethod
    def plan(
        forward_model_client: ChatClient,
        messages: Any,
        prediction: Variable,
        target: Any = None,
        inputs: Mapping[str, Any] | None = None,
        success_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
        eval_mode: bool | Variable = True,
        score_range: Any = None,
        response_schema: bool = False,
        **completion_args: Any,
    ) -> tuple[str, ...]:
        """Validate and return the roles of score and explanation."""
        form = score_form(check_range(common.words(score_range)))
        constrained(completion_args, form, common.words(response_schema))
        require_client(forward_model_client, "forward_model_client")
        _chat.validate_messages(messages)
        _chat.validate_inputs(inputs)
        taken = {"prediction", "target"} & set(inputs or {})
        if taken:
            raise InputValueError(
                f"inputs must not be called {' or '.join(sorted(taken))}: the judge's "
                "messages get these from the arguments of that name."
            )
        common.require_callable("success_fn", success_fn, optional=True)
        if not isinstance(common.words(eval_mode), bool):
            raise InputTypeError(f"eval_mode must be a bool, got {shorten(eval_mode)}.")
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        common.validate(prediction, target, reduction, optional=True)
        variables = [*_chat.variables_of(messages, inputs), prediction]
        targets = [target] if isinstance(target, Variable) else []
        if known([*variables, *targets]) is not None:
            _prepare(messages, prediction, target, inputs)
        return common.roles_of(prediction)

    @staticmethod
    def wants_grad(needs: tuple[bool, ...], *args: Any) -> tuple[bool, ...]:
        """Either the prediction receives feedback, or messages and inputs do."""
        eval_mode = common.words(args[_EVAL_MODE]) if len(args) > _EVAL_MODE else True
        if eval_mode:
            return tuple(need and i == _PREDICTION for i, need in enumerate(needs))
        return tuple(need and i in (_MESSAGES, _INPUTS) for i, need in enumerate(needs))

    @staticmethod
    async def forward(
        ctx: FunctionNode,
        forward_model_client: ChatClient,
        messages: Any,
        prediction: Variable,
        target: Any = None,
        inputs: Mapping[str, Any] | None = None,
        success_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
        eval_mode: bool | Variable = True,
        score_range: Any = None,
        response_schema: bool = False,
        **completion_args: Any,
    ) -> tuple[Any, Any]:
        """Judge every sample at once, then reduce."""
        bounds = check_range(common.words(score_range))
        form = score_form(bounds)
        args = constrained(completion_args, form, common.words(response_schema))
        size, samples = _prepare(messages, prediction, target, inputs)
        verdicts = await gather(
            _averdict(forward_model_client, sample, args, form) for sample in samples
        )
        if bounds is not None and success_fn is None:
            success_fn = functools.partial(_are_best, bounds[1])
        ctx.evidence = await call_user(
            _records, prediction.data, common.words(target), verdicts, success_fn
        )
        ctx.save_for_backward(prediction, *_chat.variables_of(messages, inputs))
        ctx.eval_mode, ctx.prediction = common.words(eval_mode), prediction
        ctx.call = Call(
            variables=tuple(_chat.variables_of(messages, inputs)),
            places=tuple(None for _ in _chat.variables_of(messages, inputs)),
            samples=tuple(samples),
            replies=tuple(reply for _, _, reply in verdicts),
            batched=size is not None,
            role=f"verdict on {prediction.role}",
        )
        if size is None:
            return verdicts[0][0], verdicts[0][1]
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        scores = [score for score, _, _ in verdicts]
        total = await call_user(common.reduce_scores, scores, reduction)
        if reduction.fn is None:
            return total, [explanation for _, explanation, _ in verdicts]
        return total, _explain(ctx.evidence, reduction, total)

    @staticmethod
    async def backward(ctx: FunctionNode, *grads: Variable) -> tuple[Any, ...]:
        """Send the judge's explanations to the prediction, or train the judge."""
        assert ctx.saved_variables is not None  # raises if a leaf has changed
        if ctx.eval_mode:
            result = common.gradient(ctx.prediction, ctx.evidence, grads, _write(ctx))
            width = len(ctx._counts)
            return tuple(result if i == _PREDICTION else None for i in range(width))
        return await _atrain_judge(ctx, grads)


def _write(ctx: FunctionNode) -> Callable[[Evidence], str]:
    role = str(ctx.prediction.role or "prediction")

    def write(record: Evidence) -> str:
        return fill(
            JUDGE_FEEDBACK,
            {"role": role, "score": record.score, "explanation": record.critique},
        )

    return write


async def _atrain_judge(
    ctx: FunctionNode, grads: tuple[Variable, ...]
) -> tuple[Any, ...]:
    """Trace feedback on the verdicts back to the judge's messages and inputs.

    Where backward began here, nobody has looked at the verdicts, so the judge does. A
    gradient with evidence comes from an evaluator that has; if it is empty, there is
    nothing to improve.
    """
    size = len(ctx.evidence)
    begins_here = not any(grad.evidence for grad in grads)
    columns = [batched(grad, size) for grad in grads if not is_empty(grad.data)]
    texts = []
    for record in ctx.evidence:
        said = [str(column[record.index]) for column in columns if column[record.index]]
        if begins_here and not columns and not record.success:
            said = [
                fill(
                    JUDGE_SELF_REVIEW,
                    {"score": record.score, "explanation": record.critique},
                )
            ]
        texts.append("\n".join(said))
    feedback = Variable(texts if ctx.call.batched else texts[0])
    feedback.evidence = ctx.evidence
    grads_of = functools.partial(aassign, ctx.call, feedback)
    return await place_grads(ctx, grads_of, positions=(_MESSAGES, _INPUTS))


def _prepare(
    messages: Any, prediction: Variable, target: Any, inputs: Mapping[str, Any] | None
) -> tuple[int | None, list[_chat.Sample | None]]:
    columns = {name: _chat.column(value) for name, value in (inputs or {}).items()}
    _chat.check_placeholders(messages, list(columns), strict=False)
    goal = common.words(target)
    common.pairs(prediction.data, goal)
    if prediction.data is None:
        raise InputTypeError("the judge got no prediction: its data is None.")
    columns |= {"prediction": prediction.data}
    if goal is not None:
        columns |= {"target": list(goal) if isinstance(goal, tuple) else goal}
    size = _chat.batch_size(messages, columns)
    return size, _chat.render(messages, columns, size)


async def _averdict(
    client: ChatClient,
    sample: _chat.Sample | None,
    args: Mapping[str, Any],
    form: Form[tuple[Any, str]],
) -> tuple[Any, str, str | None]:
    """Return score, explanation and raw reply; a missing sample has no score."""
    if sample is None:
        return None, "", None
    (score, explanation), reply = await ajudge(client, sample, args, form)
    return score, explanation, reply


def _records(
    predictions: Any,
    goal: Any,
    verdicts: list[tuple[Any, str, str | None]],
    success_fn: Callable[[list[Any]], Any] | None,
) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            index=index,
            output=_at(predictions, index),
            target=_at(goal, index),
            score=score,
            critique=explanation,
            success=common.succeeded(score, success_fn),
        )
        for index, (score, explanation, _) in enumerate(verdicts)
    )


def _are_best(best: float, scores: list[Any]) -> bool:
    return all(score == best for score in scores)


def _at(data: Any, index: int) -> Any:
    return data[index] if isinstance(data, (list, tuple)) else data


def _explain(records: tuple[Evidence, ...], reduction: Reduction, total: Any) -> str:
    lines = [f"{r.index}: {r.score} - {r.critique}" for r in records]
    lines.append(
        f"The judge's scores of {len(records)} samples were aggregated by "
        f"{common.words(reduction.purpose)} and gave the aggregated score: {total}."
    )
    return "\n".join(lines)
