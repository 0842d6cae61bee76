"""From what a closure returns to per-sample scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from afnio._dispatch import gather
from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError

Scores: TypeAlias = Sequence[float | None]
"""One score per sample; None where a sample has none."""


def sample_scores(result: Any) -> list[float | None]:
    """Flatten a closure's result into one score per sample, in order; waits.

    Args:
        result: A score (a Variable or a number), a ``(score, explanation)`` pair, a
            dict whose ``"loss"`` is one of these, or a list of any of them. A score
            Variable with evidence gives its samples' scores, another one its data. A
            missing score stays None; comparisons leave that sample out on both sides.

    Raises:
        InputTypeError: Something else, or a score that is not a number.
    """
    return [_number(score) for score in _flatten(result)]


async def asettle(result: Any) -> None:
    """Wait until every Variable in a closure's result is ready."""
    await gather(_ready(v) for v in _variables(result) if not v.is_ready())


async def _ready(variable: Variable) -> None:
    await variable


def _variables(result: Any) -> Iterator[Variable]:
    if isinstance(result, Variable):
        yield result
    elif isinstance(result, Mapping):
        yield from _variables(list(result.values()))
    elif isinstance(result, (list, tuple)):
        for item in result:
            yield from _variables(item)


def roots_of(result: Any) -> list[Variable]:
    """Return the Variables of a closure's result from which feedback goes back.

    Raises:
        InputTypeError: There is none that depends on a parameter.
    """
    found = [root for root in _roots(result) if root.requires_grad]
    if not found:
        raise InputTypeError(
            "the training samples gave nothing to send feedback back from: return "
            "(score, explanation) of an evaluator whose prediction depends on the "
            f"parameters; got {type(result).__name__}: {shorten(result)}."
        )
    return found


def _roots(result: Any) -> Iterator[Variable]:
    if isinstance(result, Variable):
        yield result
    elif isinstance(result, Mapping):
        yield from _roots(result.get("loss"))
    elif isinstance(result, tuple):
        last = [item for item in result if isinstance(item, Variable)][-1:]
        yield from last
    elif isinstance(result, list):
        for item in result:
            yield from _roots(item)


def _flatten(result: Any) -> Iterable[Any]:
    if isinstance(result, Mapping):
        if "loss" not in result:
            raise InputTypeError(
                f"a closure's dict needs the key 'loss'; got {shorten(list(result))}."
            )
        return _flatten(result["loss"])
    if isinstance(result, tuple):
        return _flatten(result[0]) if result else []
    if isinstance(result, list):
        return [score for item in result for score in _flatten(item)]
    if isinstance(result, Variable):
        return _of_variable(result)
    return [result]


def _of_variable(score: Variable) -> Iterable[Any]:
    if score.evidence:
        return [record.score for record in score.evidence]
    return score.data if isinstance(score.data, list) else [score.data]


def paired(
    parent: Scores, candidate: Scores
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the scores on the samples that have one on both sides.

    Raises:
        InputValueError: Not the same number of samples, or none that can be compared.
    """
    if len(parent) != len(candidate):
        raise InputValueError(
            f"candidates are compared on the same samples, but the closure gave "
            f"{len(parent)} scores for one and {len(candidate)} for another. It must "
            "score the same samples every time it is called within a step."
        )
    both = [
        (old, new)
        for old, new in zip(parent, candidate, strict=True)
        if old is not None and new is not None
    ]
    if parent and not both:
        raise InputValueError(
            f"none of {len(parent)} samples has a score on both sides, so nothing can "
            "be compared; let the evaluator score a failed sample, or raise."
        )
    return tuple(old for old, _ in both), tuple(new for _, new in both)


def total(scores: Scores) -> float:
    """Return the sum of the scores there are."""
    return math.fsum(score for score in scores if score is not None)


def _number(score: Any) -> float | None:
    if score is None:
        return None
    if isinstance(score, float) and not math.isfinite(score):
        raise InputValueError(
            f"a closure returned the score {score}; it must be finite."
        )
    if not isinstance(score, (int, float)):
        raise InputTypeError(
            "a closure must return scores: Variables or numbers, or pairs, dicts with "
            f"'loss' and lists of them; got {type(score).__name__}: {shorten(score)}."
        )
    return float(score)
