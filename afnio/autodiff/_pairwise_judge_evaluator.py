"""PairwiseJudgeEvaluator: a model says which is better, prediction or reference."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afnio._dispatch import call_user, gather
from afnio._text import fill, placeholders, shorten
from afnio._variable import Variable
from afnio.autodiff import _chat
from afnio.autodiff import _evaluation as common
from afnio.autodiff._content import texts_of
from afnio.autodiff._evaluation import Reduction
from afnio.autodiff._evaluator_prompts import PAIRWISE_FEEDBACK, PAIRWISE_ROUND
from afnio.autodiff._ops_common import known
from afnio.autodiff._verdict_evaluator import (
    FIRST,
    SECOND,
    TIE,
    WINNER_FORM,
    ajudge,
    constrained,
)
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import FunctionNode, Op
from afnio.autodiff.lm_ops import require_client
from afnio.errors import InputTypeError, InputValueError, TemplateError
from afnio.models._chat_client import ChatClient

_PREDICTION: Final = 2
"""Position among the arguments."""

_OUTCOMES: Final = {1.0: "won", 0.5: "tied", 0.0: "lost"}


@evaluator
class PairwiseJudgeEvaluator(Op):
    """Ask a model whether each prediction is better than a reference answer.

    ``apply(forward_model_client, messages, prediction, target, inputs=None, swap=True,
    reduction_fn=sum, reduction_fn_purpose="summation", response_schema=False,
    **completion_args)``.

    Judges favour an answer for its place. So each sample is judged in both orders, and
    the score is 1 only if the prediction wins both, 0 only if it loses both, else 0.5.

    Args of apply:
        forward_model_client: The judge.
        messages: Its instructions, with ``{first}`` and ``{second}`` for the answers
            and the names of ``inputs``. The judge must answer a JSON object with the
            keys ``winner`` ("first", "second" or "tie") and ``explanation``.
        prediction: The Variable to judge; a list is a batch.
        target: The reference answer; a scalar is meant for all samples.
        inputs: Values of further placeholders.
        swap: False judges once, with the prediction first.
        reduction_fn: Makes one score of a batch's; None keeps the list.
        reduction_fn_purpose: What it computes, in words.
        response_schema: Constrain the reply to a verdict, by ``response_format``, where
            the provider can.
        **completion_args: Passed to the client unchanged.

    Model calls: two per sample, one without ``swap``, and up to 2 more for each while
    its reply is unusable; backward none.

    Raises:
        InputTypeError: An argument of the wrong type.
        InputValueError: Lengths differ, or an input is called first or second.
        TemplateError: The messages do not use both answers, or not all inputs.
        ReplyError: When the score is read: the judge's replies were unusable.
    """

    @staticmethod
    def plan(
        forward_model_client: ChatClient,
        messages: Any,
        prediction: Variable,
        target: Any,
        inputs: Mapping[str, Any] | None = None,
        swap: bool | Variable = True,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
        response_schema: bool = False,
        **completion_args: Any,
    ) -> tuple[str, ...]:
        """Validate and return the roles of score and explanation."""
        require_client(forward_model_client, "forward_model_client")
        constrained(completion_args, WINNER_FORM, common.words(response_schema))
        _chat.validate_messages(messages)
        _chat.validate_inputs(inputs)
        if taken := {FIRST, SECOND} & set(inputs or {}):
            raise InputValueError(
                f"inputs must not be called {' or '.join(sorted(taken))}: these are "
                "the two answers."
            )
        if not isinstance(common.words(swap), bool):
            raise InputTypeError(f"swap must be a bool, got {shorten(swap)}.")
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        common.validate(prediction, target, reduction)
        variables = [*_chat.variables_of(messages, inputs), prediction]
        targets = [target] if isinstance(target, Variable) else []
        if known([*variables, *targets]) is not None:
            _check(messages, prediction, target, inputs)
            _render(messages, prediction, target, inputs, swapped=False)
        return common.roles_of(prediction)

    @staticmethod
    def wants_grad(needs: tuple[bool, ...], *args: Any) -> tuple[bool, ...]:
        """Only the prediction can receive feedback."""
        del args
        return tuple(need and i == _PREDICTION for i, need in enumerate(needs))

    @staticmethod
    async def forward(
        ctx: FunctionNode,
        forward_model_client: ChatClient,
        messages: Any,
        prediction: Variable,
        target: Any,
        inputs: Mapping[str, Any] | None = None,
        swap: bool | Variable = True,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
        response_schema: bool = False,
        **completion_args: Any,
    ) -> tuple[Any, Any]:
        """Judge every sample in both orders at once, then reduce."""
        _check(messages, prediction, target, inputs)
        args = constrained(completion_args, WINNER_FORM, common.words(response_schema))
        orders = (False, True) if common.words(swap) else (False,)
        rounds = await gather(
            _acompare(forward_model_client, sample, args, swapped)
            for swapped in orders
            for sample in _render(messages, prediction, target, inputs, swapped=swapped)
        )
        size = len(rounds) // len(orders)
        ctx.evidence = tuple(
            _record(index, rounds[index::size], pair)
            for index, pair in enumerate(
                common.pairs(prediction.data, common.words(target))
            )
        )
        ctx.save_for_backward(prediction)
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        batch = isinstance(prediction.data, list)
        finish = functools.partial(
            common.conclude, "pairwise", ctx.evidence, reduction, batch=batch, say=_say
        )
        result: tuple[Any, Any] = await call_user(finish)
        return result

    @staticmethod
    def backward(ctx: FunctionNode, *grads: Variable) -> tuple[Any, ...]:
        """Tell the prediction why it was not preferred."""
        (prediction,) = ctx.saved_variables
        write = functools.partial(_write, str(prediction.role or "prediction"))
        result = common.gradient(prediction, ctx.evidence, grads, write)
        width = len(ctx._counts)
        return tuple(result if i == _PREDICTION else None for i in range(width))


@dataclass(frozen=True, slots=True)
class _Round:
    """One comparison of prediction and reference."""

    place: str
    """Where the prediction stood."""
    score: float
    explanation: str

    def __str__(self) -> str:
        values = {
            "place": self.place,
            "outcome": _OUTCOMES[self.score],
            "explanation": self.explanation,
        }
        return fill(PAIRWISE_ROUND, values)


def _check(
    messages: Any, prediction: Variable, target: Any, inputs: Mapping[str, Any] | None
) -> None:
    goal = common.words(target)
    common.pairs(prediction.data, goal)
    if prediction.data is None or goal is None:
        raise InputTypeError("a comparison needs a prediction and a target, got None.")
    _chat.check_placeholders(messages, list(inputs or {}), strict=False)
    parts = [part for message in messages for part in texts_of(message["content"])]
    texts = [
        text for part in parts for text in (part if isinstance(part, list) else [part])
    ]
    found = {name for text in texts for name in placeholders(str(text))}
    if missing := [name for name in (FIRST, SECOND) if name not in found]:
        names = " and ".join(f"{{{name}}}" for name in missing)
        raise TemplateError(
            f"the messages lack {names}; the two answers to compare go there."
        )


def _render(
    messages: Any,
    prediction: Variable,
    target: Any,
    inputs: Mapping[str, Any] | None,
    *,
    swapped: bool,
) -> list[_chat.Sample | None]:
    goal = common.words(target)
    answers = [prediction.data, list(goal) if isinstance(goal, tuple) else goal]
    first, second = reversed(answers) if swapped else answers
    columns = {name: _chat.column(value) for name, value in (inputs or {}).items()}
    columns |= {FIRST: first, SECOND: second}
    size = _chat.batch_size(messages, columns)
    if size is not None and not isinstance(prediction.data, list):
        raise InputValueError(
            f"one prediction cannot be compared {size} times: messages or inputs are "
            "a batch, the prediction is not."
        )
    return _chat.render(messages, columns, size)


async def _acompare(
    client: ChatClient,
    sample: _chat.Sample | None,
    args: Mapping[str, Any],
    swapped: bool,
) -> _Round | None:
    if sample is None:
        return None
    (winner, explanation), _ = await ajudge(client, sample, args, WINNER_FORM)
    place = SECOND if swapped else FIRST
    score = 0.5 if winner == TIE else float(winner == place)
    return _Round(place, score, explanation)


def _record(index: int, rounds: list[_Round | None], pair: tuple[Any, Any]) -> Evidence:
    predicted, reference = pair
    done = [one for one in rounds if one is not None]
    score = _score([one.score for one in done])
    return Evidence(
        index=index,
        output=predicted,
        target=reference,
        score=score,
        success=score == 1,
        critique="\n".join(map(str, done)),
    )


def _score(scores: list[float]) -> float | None:
    """Return 1 for a win in every order, 0 for a loss in every order, else 0.5."""
    if not scores:
        return None
    return scores[0] if len(set(scores)) == 1 else 0.5


def _say(record: Evidence) -> str:
    return f"score {record.score}\n{record.critique}" if record.critique else ""


def _write(role: str, record: Evidence) -> str:
    return fill(PAIRWISE_FEEDBACK, {"role": role, "rounds": record.critique})
