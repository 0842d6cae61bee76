"""WeightedEvaluator: several evaluations of the same samples as one."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio._text import join_roles, shorten
from afnio._variable import Variable
from afnio.autodiff import _evaluation as common
from afnio.autodiff._evaluation import Reduction
from afnio.autodiff._merge import merge
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import FunctionNode, Op
from afnio.errors import InputTypeError, InputValueError

_PURPOSE: Final = "weighted"
_ROLE: Final = "Evaluation result score of "


@evaluator
class WeightedEvaluator(Op):
    """Combine several evaluations of the same samples into one.

    ``apply(evaluations, weights=None, names=None, reduction_fn=sum,
    reduction_fn_purpose="summation")``.

    A sample's score is the weighted mean of its scores, so it is best where all are,
    and stays between 0 and 1 if they do. Backward makes every evaluation with a weight
    give its feedback. A sample that one of them could not score has no score.

    Args of apply:
        evaluations: Pairs of score and explanation, as evaluators return them. Samples
            are taken from the evidence, so their reductions do not matter.
        weights: One number >= 0 per pair; equal ones by default.
        names: What to call each evaluation.
        reduction_fn: Makes one score of a batch's; None keeps the list.
        reduction_fn_purpose: What it computes, in words.

    Model calls: none, forward or backward.

    Raises:
        InputTypeError: Something of the wrong type; a score that is no number when the
            combined score is read.
        InputValueError: Weights or names do not fit the evaluations, or these have
            different numbers of samples.
    """

    @staticmethod
    def calls_user(
        evaluations: Any,
        weights: Any = None,
        names: Any = None,
        reduction_fn: Any = builtins.sum,
        reduction_fn_purpose: Any = "summation",
    ) -> bool:
        """Only the reduction may be the user's."""
        del evaluations, weights, names
        return not Reduction(reduction_fn, reduction_fn_purpose).is_known

    @staticmethod
    def plan(
        evaluations: Sequence[Sequence[Variable]],
        weights: Any = None,
        names: Sequence[str] | None = None,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
    ) -> tuple[str, ...]:
        """Validate and return the roles of score and explanation."""
        _check_evaluations(evaluations)
        weigh(weights, len(evaluations))
        _names(names, len(evaluations))
        first = evaluations[0][0]
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        common.validate_parts(first, reduction)
        about = join_roles(
            str(score.role or "").removeprefix(_ROLE) for score, _ in evaluations
        )
        return common.roles_of(Variable(None, about))

    @staticmethod
    def wants_grad(needs: tuple[bool, ...], *args: Any) -> tuple[bool, ...]:
        """Only the evaluations can receive feedback."""
        del args
        return (needs[0], *(False for _ in needs[1:]))

    @staticmethod
    def forward(
        ctx: FunctionNode,
        evaluations: Sequence[Sequence[Variable]],
        weights: Any = None,
        names: Sequence[str] | None = None,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
    ) -> tuple[Any, Any]:
        """Combine the scores of every sample, then reduce."""
        ctx.weights = weigh(weights, len(evaluations))
        ctx.part_roles = tuple(score.role for score, _ in evaluations)
        labels = _names(names, len(evaluations))
        columns = [_column(*pair) for pair in evaluations]
        _check_lengths(columns, labels)
        parts = [
            _Part(name, weight, record)
            for name, weight, column in zip(labels, ctx.weights, columns, strict=True)
            for record in column
        ]
        size = len(columns[0])
        ctx.evidence = tuple(_combine(parts[index::size]) for index in range(size))
        batch = size != 1 or any(isinstance(s.data, list) for s, _ in evaluations)
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        return common.conclude(_PURPOSE, ctx.evidence, reduction, batch=batch, say=_say)

    @staticmethod
    def backward(ctx: FunctionNode, *grads: Variable) -> tuple[Any, ...]:
        """Start every evaluation that has a weight, and pass on what was said."""
        said = merge([grad for grad in grads if grad is not None])
        found: list[Variable | None] = []
        for weight, role in zip(ctx.weights, ctx.part_roles, strict=True):
            grad = Variable(said.data, f"feedback to {role}")
            found += [grad if weight else None, None]
        return (tuple(found), *(None for _ in ctx._counts[1:]))


@dataclass(frozen=True, slots=True)
class _Part:
    """One evaluation of one sample."""

    name: str
    weight: float
    record: Evidence

    def __str__(self) -> str:
        words = f"{self.name} ({self.weight:.0%}): {self.record.score}"
        critique = "" if self.record.success else self.record.critique
        return f"{words} - {critique}" if critique else words


def _check_evaluations(evaluations: Any) -> None:
    if not isinstance(evaluations, (list, tuple)) or not evaluations:
        raise InputTypeError(
            "evaluations must be a list of (score, explanation) pairs, got "
            f"{type(evaluations).__name__}: {shorten(evaluations)}."
        )
    for index, pair in enumerate(evaluations):
        if not (
            isinstance(pair, (list, tuple))
            and len(pair) == 2  # noqa: PLR2004 - score and explanation
            and all(isinstance(item, Variable) for item in pair)
        ):
            raise InputTypeError(
                f"evaluations[{index}] must be the (score, explanation) of an "
                f"evaluator, got {type(pair).__name__}: {shorten(pair)}."
            )


def weigh(weights: Any, count: int) -> list[float]:
    """Return weights that add up to 1.

    Raises:
        InputTypeError: They are not numbers.
        InputValueError: There are too few or too many, one is negative, or all are 0.
    """
    given = common.words(weights)
    given = [1] * count if given is None else given
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(one, (int, float)) and not isinstance(one, bool) for one in given
    ):
        raise InputTypeError(f"weights must be numbers in a list, got {given!r}.")
    if len(given) != count:
        raise InputValueError(f"{len(given)} weights for {count} evaluations.")
    if not all(math.isfinite(one) and one >= 0 for one in given) or not any(given):
        raise InputValueError(
            f"weights must be finite and >= 0, and not all 0; got {given!r}."
        )
    return [one / math.fsum(given) for one in given]


def _names(names: Any, count: int) -> list[str]:
    if names is None:
        return [f"evaluation {number}" for number in range(1, count + 1)]
    found = [] if isinstance(names, str) else list(names)
    if len(found) != count or not all(isinstance(name, str) for name in found):
        raise InputValueError(f"names must be {count} texts, got {names!r}.")
    return found


def _column(score: Variable, explanation: Variable) -> list[Evidence]:
    """Return one record per sample; plain scores become records."""
    if score.evidence:
        return list(score.evidence)
    scores = score.data if isinstance(score.data, list) else [score.data]
    words = explanation.data
    words = words if isinstance(words, list) else [words] * len(scores)
    return [
        Evidence(
            index=index,
            score=one,
            success=common.succeeded(one, None),
            critique=str(words[index] or ""),
        )
        for index, one in enumerate(scores)
    ]


def _check_lengths(columns: list[list[Evidence]], names: list[str]) -> None:
    sizes = [len(column) for column in columns]
    if len(set(sizes)) > 1:
        raise InputValueError(
            "the evaluations have different numbers of samples: "
            + ", ".join(f"{n} {size}" for n, size in zip(names, sizes, strict=True))
            + "."
        )


def _combine(parts: list[_Part]) -> Evidence:
    weighing = [part for part in parts if part.weight]
    first = parts[0].record
    target = next((p.record.target for p in parts if p.record.target is not None), None)
    return first.but(
        target=target,
        score=_mean(weighing),
        success=all(part.record.success for part in weighing),
        critique="\n".join(map(str, parts)),
    )


def _mean(parts: list[_Part]) -> float | None:
    scores = [part.record.score for part in parts]
    if None in scores:
        return None
    for part in parts:
        if not isinstance(part.record.score, (int, float)):
            raise InputTypeError(
                f"{part.name} scored sample {part.record.index} with "
                f"{shorten(part.record.score)!r}; only numbers can be combined."
            )
    if len(set(scores)) == 1:
        return float(scores[0])
    return math.fsum(p.weight * p.record.score for p in parts)


def _say(record: Evidence) -> str:
    return (
        f"The weighted evaluation gave the score {record.score}, from:\n"
        f"{record.critique}"
    )
