"""RegexEvaluator: whether text has the form of a regular expression."""

from __future__ import annotations

import builtins
import functools
import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from afnio._text import closest, fill, shorten
from afnio._variable import Variable
from afnio.autodiff import _evaluation as common
from afnio.autodiff._deterministic import KnowingEvaluator, Rule, evaluate
from afnio.autodiff._evaluation import Reduction
from afnio.autodiff._evaluator_prompts import REGEX_FEEDBACK
from afnio.autodiff._ops_common import known
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import FunctionNode
from afnio.errors import InputTypeError, InputValueError

_PURPOSE: Final = "regular expression"

_RELATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fullmatch": "that as a whole matches",
        "match": "whose beginning matches",
        "search": "that somewhere matches",
    }
)
"""Mode, which is the method of `re.Pattern` → what it asks for."""


@evaluator
class RegexEvaluator(KnowingEvaluator):
    """Score 1 where a regular expression matches, else 0.

    ``apply(prediction, pattern, mode="search", reduction_fn=sum,
    reduction_fn_purpose="summation")``.

    Args of apply:
        prediction: The Variable to score; a list is a batch. It must hold text.
        pattern: Text or a compiled `re.Pattern`, which may carry flags; a list holds
            one per sample; a Variable holds texts. It is searched for without a time
            limit, so it should not come from strangers.
        mode: ``search``, ``match`` or ``fullmatch``, as in `re`.
        reduction_fn: Makes one score of a batch's; None keeps the list.
        reduction_fn_purpose: What it computes, in words.

    Model calls: none, forward or backward.

    Raises:
        InputTypeError: An argument of the wrong type, or a prediction that is no text.
        InputValueError: A pattern or a mode that `re` does not know; lengths differ.
    """

    @staticmethod
    def plan(
        prediction: Variable,
        pattern: Any,
        mode: str | Variable = "search",
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
    ) -> tuple[str, ...]:
        """Validate and return the roles of score and explanation."""
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        common.validate_parts(prediction, reduction)
        _check_mode(common.words(mode))
        if not isinstance(pattern, Variable):
            _compiled(pattern)
        patterns = [pattern] if isinstance(pattern, Variable) else []
        if (data := known([prediction, *patterns])) is not None:
            common.pairs(data[0], _compiled(data[1] if patterns else pattern))
        return common.roles_of(prediction)

    @staticmethod
    def forward(
        ctx: FunctionNode,
        prediction: Variable,
        pattern: Any,
        mode: str | Variable = "search",
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
    ) -> tuple[Any, Any]:
        """Match every sample, then reduce."""
        how = common.words(mode)
        wanted = _compiled(common.words(pattern))
        rule = Rule(
            functools.partial(_matches, how),
            _PURPOSE,
            say=functools.partial(_say, how),
            write=functools.partial(_write, how, str(prediction.role or "prediction")),
            show=attrgetter("pattern"),
        )
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        samples = common.pairs(prediction.data, wanted)
        return evaluate(ctx, prediction, samples, rule, reduction)


def _check_mode(mode: Any) -> None:
    if mode not in _RELATIONS:
        raise InputValueError(
            f"mode={shorten(mode)!r} is unknown; {closest(str(mode), _RELATIONS)}"
        )


def _compiled(pattern: Any) -> Any:
    """Compile one pattern, or each of a list."""
    if isinstance(pattern, (list, tuple)):
        return [_compile(one) for one in pattern]
    return _compile(pattern)


def _compile(pattern: Any) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return pattern
    if not isinstance(pattern, str):
        raise InputTypeError(
            "pattern must be text, a compiled pattern of text, or a list of them, got "
            f"{type(pattern).__name__}: {shorten(pattern)}."
        )
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputValueError(
            f"the pattern {shorten(pattern)!r} is no regular expression: {error}."
        ) from error


def _matches(mode: str, prediction: Any, pattern: re.Pattern[str]) -> int:
    text = common.require_text(prediction, _PURPOSE)
    return int(getattr(pattern, mode)(text) is not None)


def _say(mode: str, record: Evidence) -> str:
    return (
        f"The {_PURPOSE} evaluation expected text {_RELATIONS[mode]} "
        f"'{record.target}', got '{record.output}' and gave the score: {record.score}."
    )


def _write(mode: str, role: str, record: Evidence) -> str:
    return fill(
        REGEX_FEEDBACK,
        {
            "role": role,
            "score": record.score,
            "prediction": common.fenced(record.output, "prediction"),
            "relation": _RELATIONS[mode],
            "pattern": common.fenced(record.target, "pattern"),
        },
    )
