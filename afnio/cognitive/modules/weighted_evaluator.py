"""WeightedEvaluator as a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio._text import closest, describe
from afnio._variable import Variable
from afnio.cognitive import functional
from afnio.cognitive.modules._given import NOT_GIVEN, NotGiven
from afnio.cognitive.modules._reduction import Reduce, Reducing, Words
from afnio.cognitive.modules.container import ModuleDict
from afnio.cognitive.modules.module import Module
from afnio.errors import InputTypeError, InputValueError


class WeightedEvaluator(Reducing):
    """Score predictions with several evaluators; the score is the weighted mean.

    See `afnio.autodiff.evaluator.WeightedEvaluator`.

    Args:
        evaluators: Evaluator modules by name. Each is called with ``prediction`` and
            ``target``, by name, so it has to be configured otherwise.
        weights: One number >= 0 per name; equal ones by default.
        reduction_fn: Makes one score of a batch's: by default `sum`; None keeps the
            list.
        reduction_fn_purpose: What it computes, in words.

    Model calls: those of its evaluators.

    Raises:
        InputTypeError: ``evaluators`` is not a dict of modules.
        InputValueError: A weight has no evaluator, or the reverse.

    Examples:
        >>> import afnio, afnio.cognitive as cog
        >>> evaluate = cog.WeightedEvaluator(
        ...     {"right": cog.ExactMatchEvaluator(), "form": cog.RegexEvaluator("^.$")},
        ...     weights={"right": 3, "form": 1},
        ... )
        >>> evaluate(afnio.Variable(["a", "b"]), ["a", "c"])[0].data
        1.25
    """

    weights: Variable
    evaluators: ModuleDict

    def __init__(
        self,
        evaluators: Mapping[str, Module],
        weights: Mapping[str, float] | None = None,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
    ) -> None:
        super().__init__()
        if not isinstance(evaluators, Mapping) or not evaluators:
            raise InputTypeError(
                "evaluators must be a dict of evaluator modules by name, got "
                f"{describe(evaluators)}."
            )
        given = dict.fromkeys(evaluators, 1) if weights is None else dict(weights)
        for name in {*given} ^ {*evaluators}:
            other = evaluators if name in given else given
            raise InputValueError(
                f"evaluators and weights do not fit: {name!r} is in one of them only; "
                f"{closest(str(name), map(str, other))}"
            )
        self.evaluators = ModuleDict(dict(evaluators))
        column = [float(given[name]) for name in evaluators]
        self.register_buffer("weights", Variable(column, "weights of the evaluators"))
        self._register_reduction(reduction_fn, reduction_fn_purpose)

    def forward(
        self,
        prediction: Variable,
        target: Any = None,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
    ) -> tuple[Variable, Variable]:
        """Return score and explanation."""
        pairs = [
            evaluate(prediction=prediction, target=target)
            for evaluate in self.evaluators.values()
        ]
        return functional.weighted_evaluator(
            pairs,
            self.weights,
            list(self.evaluators),
            *self._reduction(reduction_fn, reduction_fn_purpose),
        )
