"""From what a closure returns to per-sample scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from afnio._dispatch import gather
from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError


def sample_scores(result: Any) -> list[float]:
    """Flatten a closure's result into one score per sample, in order; waits.

    Args:
        result: A score (a Variable or a number), a ``(score, explanation)`` pair, a
            dict whose ``"loss"`` is one of these, or a list of any of them. A score
            Variable with evidence gives its samples' scores, another one its data. A
            missing score (None) counts as 0.

    Raises:
        InputTypeError: Something else, or a score that is not a number.
    """
    return [_number(score) for score in _flatten(result)]


async def asettle(result: Any) -> None:
    """Wait until every Variable in a closure's result is ready."""
    await gather(_ready(variable) for variable in _variables(result))


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


def _number(score: Any) -> float:
    if score is None:
        return 0.0
    if not isinstance(score, (int, float)):
        raise InputTypeError(
            "a closure must return scores: Variables or numbers, or pairs, dicts with "
            f"'loss' and lists of them; got {type(score).__name__}: {shorten(score)}."
        )
    return float(score)
