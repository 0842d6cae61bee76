"""From a program's answer to a score and the words about it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import afnio.cognitive.functional as F  # noqa: N812 - the customary name
from afnio._dispatch import call_user
from afnio._text import closest, describe, shorten
from afnio._variable import Variable
from afnio.cognitive.modules.module import Module
from afnio.errors import InputTypeError, InputValueError
from afnio.trainer._evaluate import settle

Evaluator: TypeAlias = str | Callable[..., Any]
"""A name, an evaluator module, or a function; see `evaluate`."""

DEFAULT: Final = "exact_match"


class Score(NamedTuple):
    """What an evaluator says about one sample."""

    value: float
    explanation: str


def _exact_match(prediction: Any, target: Any, **options: Any) -> Any:
    """Compare with one target, or with any of a list of them; numbers as numbers."""
    if isinstance(target, (list, tuple)):
        target = set(target)
    group = target if isinstance(target, set) else {target}
    if any(isinstance(item, (int, float)) for item in group):
        options["tolerance"] = 0.0
    return F.exact_match_evaluator(_variable(prediction), target, **options)


EVALUATORS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "exact_match": _exact_match,
        "match": partial(_exact_match, normalize=["whitespace", "casefold"]),
    }
)
"""Evaluators by name: ``match`` ignores case and differences of white space."""


class Scorer:
    """Asks an evaluator about answers.

    Args:
        evaluator: A name of `EVALUATORS`; a Module or a function whose first parameter
            is annotated with `Variable`, which gets the answer as a Variable; any other
            callable, which gets plain values.

    Raises:
        InputTypeError: It is none of these.
        InputValueError: There is no evaluator of that name.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._wants_variable = False
        if isinstance(evaluator, str):
            if evaluator not in EVALUATORS:
                raise InputValueError(
                    f"there is no evaluator {evaluator!r}; "
                    f"{closest(evaluator, EVALUATORS)}"
                )
            evaluator = EVALUATORS[evaluator]
        elif not callable(evaluator):
            raise InputTypeError(
                f"the evaluator is {describe(evaluator)}; expected a name, a Module or "
                "a function of prediction and target."
            )
        else:
            self._wants_variable = _takes_variable(evaluator)
        self._evaluator: Callable[..., Any] = evaluator

    async def score(self, prediction: Any, target: Any) -> Score:
        """Return the score of one answer.

        Raises:
            InputTypeError: What the evaluator returns is no score.
        """
        plain = prediction.data if isinstance(prediction, Variable) else prediction
        given = _variable(prediction) if self._wants_variable else plain
        result = await call_user(self._call, given, target)
        result = await result[0] if inspect.isawaitable(result[0]) else result[0]
        await settle(result)
        return _read(result)

    def _call(self, prediction: Any, target: Any) -> tuple[Any]:
        """Return the result in a tuple, so that a pending Variable is not awaited."""
        return (self._evaluator(prediction, target),)


def _takes_variable(evaluator: Callable[..., Any]) -> bool:
    if isinstance(evaluator, Module):
        return True
    try:
        params = list(inspect.signature(evaluator).parameters.values())
    except (TypeError, ValueError):
        return False
    return bool(params) and params[0].annotation in (Variable, Variable.__name__)


def _variable(prediction: Any) -> Variable:
    if isinstance(prediction, Variable):
        return prediction
    return Variable(prediction, role="answer")


def _read(result: Any) -> Score:
    value: Any = result
    words: Any = None
    if isinstance(result, Mapping) and "score" in result:
        value, words = result["score"], result.get("explanation")
    elif isinstance(result, (tuple, list)) and len(result) == 2:  # noqa: PLR2004 - a pair
        value, words = result
    words = words.data if isinstance(words, Variable) else words
    if words is not None and not isinstance(words, str):
        value = result
    return Score(as_number(value), words or "")


def as_number(value: Any) -> float:
    """Return one finite score as a number.

    Raises:
        InputTypeError: It is something else.
    """
    value = value.data if isinstance(value, Variable) else value
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    raise InputTypeError(
        f"the evaluator gave {shorten(repr(value))} as the score of a sample; expected "
        "one finite number or bool, or (score, explanation)."
    )
