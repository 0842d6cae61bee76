"""ExactMatchEvaluator: equality, up to what does not matter."""

from __future__ import annotations

import builtins
import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from afnio._text import closest, shorten
from afnio._variable import Variable
from afnio.autodiff import _evaluation as common
from afnio.autodiff._deterministic import KnowingEvaluator, Rule, evaluate
from afnio.autodiff._evaluation import Reduction
from afnio.autodiff._ops_common import known
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import FunctionNode
from afnio.errors import InputTypeError, InputValueError

Normalizer: TypeAlias = Callable[[str], str]
Normalize: TypeAlias = str | Normalizer | Sequence[str | Normalizer] | None

_GROUPS: Final = (list, tuple, set, frozenset)
"""What holds several acceptable targets of one sample."""


def _without_punctuation(text: str) -> str:
    return "".join(c for c in text if not unicodedata.category(c).startswith("P"))


NORMALIZERS: Final[Mapping[str, Normalizer]] = MappingProxyType(
    {
        "casefold": str.casefold,
        "punctuation": _without_punctuation,
        "strip": str.strip,
        "unicode": functools.partial(unicodedata.normalize, "NFKC"),
        "whitespace": lambda text: re.sub(r"\s+", " ", text).strip(),
    }
)
"""What ``normalize`` may name: ``punctuation`` removes it, ``whitespace`` makes every
run of it one space, ``unicode`` joins compatible characters (NFKC)."""


@evaluator
class ExactMatchEvaluator(KnowingEvaluator):
    """Score 1 where prediction and target are equal, else 0.

    ``apply(prediction, target, reduction_fn=sum, reduction_fn_purpose="summation",
    normalize=None, tolerance=None)``.

    Args of apply:
        prediction: The Variable to score; a list is a batch.
        target: What is right. In a list with one item per sample, an item may be a list
            or a set of acceptable targets; for a single prediction, or for a whole
            batch alike, give a set of them.
        reduction_fn: Makes one score of a batch's; None keeps the list.
        reduction_fn_purpose: What it computes, in words.
        normalize: What to do to both texts before they are compared: a function of a
            text, a name of `NORMALIZERS`, or several of them, in order.
        tolerance: Numbers, and texts that are numbers, are equal when they differ by no
            more than this. It also allows numbers as target.

    Model calls: none, forward or backward.

    Raises:
        InputTypeError: An argument of the wrong type.
        InputValueError: Lengths differ, a name is unknown, or no target is acceptable.
    """

    @staticmethod
    def calls_user(
        prediction: Any,
        target: Any,
        reduction_fn: Any = builtins.sum,
        reduction_fn_purpose: Any = "summation",
        normalize: Any = None,
        tolerance: Any = None,
    ) -> bool:
        """Only normalizer and reduction may be the user's; to compare takes no time."""
        del prediction, target, tolerance
        steps = normalize if isinstance(normalize, (list, tuple)) else [normalize]
        is_plain = all(step is None or isinstance(step, str) for step in steps)
        return not (is_plain and Reduction(reduction_fn, reduction_fn_purpose).is_known)

    @staticmethod
    def plan(
        prediction: Variable,
        target: Any,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
        normalize: Any = None,
        tolerance: Any = None,
    ) -> tuple[str, ...]:
        """Validate and return the roles of score and explanation."""
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        common.validate_parts(prediction, reduction)
        normalizer(common.words(normalize))
        limit(common.words(tolerance))
        _check_target(target, numbers=tolerance is not None)
        targets = [target] if isinstance(target, Variable) else []
        if (data := known([prediction, *targets])) is not None:
            _samples(data[0], data[1] if targets else target)
        return common.roles_of(prediction)

    @staticmethod
    def forward(
        ctx: FunctionNode,
        prediction: Variable,
        target: Any,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
        normalize: Any = None,
        tolerance: Any = None,
    ) -> tuple[Any, Any]:
        """Compare every sample, then reduce."""
        equal = functools.partial(
            _match, normalizer(common.words(normalize)), limit(common.words(tolerance))
        )
        write = functools.partial(_write, str(prediction.role))
        rule = Rule(equal, "exact match", say=_say, write=write)
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        samples = _samples(prediction.data, common.words(target))
        return evaluate(ctx, prediction, samples, rule, reduction)


def normalizer(normalize: Normalize) -> Normalizer | None:
    """Return one function that does what ``normalize`` asks for, or None.

    Raises:
        InputTypeError: It is neither a name nor a function, nor a list of them.
        InputValueError: A name is unknown.
    """
    if normalize is None:
        return None
    steps: Any = [normalize] if isinstance(normalize, str) else normalize
    steps = [steps] if callable(steps) else steps
    if not isinstance(steps, (list, tuple)):
        raise InputTypeError(
            "normalize must be a function, a name, or a list of them, got "
            f"{type(steps).__name__}: {shorten(steps)}."
        )
    return functools.partial(_in_turn, [_step(step) for step in steps])


def _step(step: Any) -> Normalizer:
    if callable(step):
        found: Normalizer = step
        return found
    if not isinstance(step, str):
        raise InputTypeError(
            f"normalize takes functions and names, got {type(step).__name__}."
        )
    if step not in NORMALIZERS:
        raise InputValueError(
            f"normalize={step!r} is unknown; {closest(step, NORMALIZERS)}"
        )
    return NORMALIZERS[step]


def _in_turn(steps: list[Normalizer], text: str) -> str:
    for step in steps:
        text = step(text)
    return text


def limit(tolerance: float | None) -> Decimal | None:
    """Return a tolerance that has been checked.

    Raises:
        InputTypeError: It is not a number.
        InputValueError: It is negative or not finite.
    """
    if tolerance is None:
        return None
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)):
        raise InputTypeError(
            f"tolerance must be a number or None, got {type(tolerance).__name__}."
        )
    found = Decimal(str(tolerance))
    if not found.is_finite() or found < 0:
        raise InputValueError(f"tolerance must be finite and >= 0, got {tolerance!r}.")
    return found


def _check_target(target: Any, *, numbers: bool) -> None:
    if isinstance(target, Variable):
        return
    kinds = (str, int, float) if numbers else (str,)
    for item in target if isinstance(target, _GROUPS) else [target]:
        inner = item if isinstance(item, _GROUPS) else [item]
        wrong = [one for one in inner if not isinstance(one, kinds)]
        if wrong and not (item is None and isinstance(target, (list, tuple))):
            raise InputTypeError(
                "target must be a str, a list of str, a set of acceptable ones, or a "
                "Variable (numbers need a tolerance); got "
                f"{type(wrong[0]).__name__}: {shorten(wrong[0])}."
            )


def _samples(prediction: Any, target: Any) -> list[tuple[Any, Any]]:
    """Pair predictions with targets; sets become sorted lists."""
    if isinstance(target, (list, tuple)):
        target = [_acceptable(item) for item in target]
        return common.pairs(prediction, target)
    column = prediction if isinstance(prediction, list) else [prediction]
    return [(item, _acceptable(target)) for item in column]


def _acceptable(target: Any) -> Any:
    if not isinstance(target, _GROUPS):
        return target
    if not target:
        raise InputValueError("a sample has no acceptable target; give at least one.")
    is_set = isinstance(target, (set, frozenset))
    return sorted(target, key=str) if is_set else list(target)


def _match(
    normalize: Normalizer | None, tolerance: Decimal | None, prediction: Any, goal: Any
) -> int:
    goals = goal if isinstance(goal, list) else [goal]
    return int(any(_equal(normalize, tolerance, prediction, one) for one in goals))


def _equal(
    normalize: Normalizer | None, tolerance: Decimal | None, one: Any, other: Any
) -> bool:
    if normalize is not None:
        one = normalize(one) if isinstance(one, str) else one
        other = normalize(other) if isinstance(other, str) else other
    if one == other or tolerance is None:
        return bool(one == other)
    numbers = _number(one), _number(other)
    if numbers[0] is None or numbers[1] is None:
        return False
    try:
        return abs(numbers[0] - numbers[1]) <= tolerance
    except ArithmeticError:
        return False


def _number(value: Any) -> Decimal | None:
    try:
        found = Decimal(str(value).strip())
    except ArithmeticError:
        return None
    return found if found.is_finite() else None


def _either(target: Any, quote: str = "'") -> str:
    goals: Iterable[Any] = target if isinstance(target, list) else [target]
    return " or ".join(f"{quote}{goal}{quote}" for goal in goals)


def _say(record: Evidence) -> str:
    if not isinstance(record.target, list):
        return common.sentence("exact match", record)
    return (
        f"The exact match evaluation compared the prediction '{record.output}' "
        f"against the targets {_either(record.target)} and gave the score: "
        f"{record.score}."
    )


def _write(role: str, record: Evidence) -> str:
    if isinstance(record.target, list):
        record = record.but(target="\nor\n".join(map(str, record.target)))
    return common.miss_feedback("exact match", role, record)
