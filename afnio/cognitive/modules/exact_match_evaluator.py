"""ExactMatchEvaluator as a module."""

from __future__ import annotations

from typing import Any

from afnio._variable import Variable
from afnio.cognitive import functional
from afnio.cognitive.modules._given import NOT_GIVEN, NotGiven, as_buffer, first_given
from afnio.cognitive.modules._reduction import Reduce, Reducing, Words


class ExactMatchEvaluator(Reducing):
    """Score 1 where prediction and target are equal, else 0.

    Every argument may be given here or in a call, which comes first; see
    `afnio.autodiff.evaluator.ExactMatchEvaluator` for what they mean.

    Args:
        reduction_fn: Makes one score of a batch's: by default `sum`; None keeps the
            list.
        reduction_fn_purpose: What it computes, in words.
        normalize: What to do to texts before they are compared. Names belong to the
            state; functions belong to the program.
        tolerance: By how much equal numbers may differ.
    """

    normalize_names: Variable | None
    tolerance: Variable | None

    def __init__(
        self,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
        normalize: Any = None,
        tolerance: float | Variable | None = None,
    ) -> None:
        super().__init__()
        self._register_reduction(reduction_fn, reduction_fn_purpose)
        steps = [normalize] if callable(normalize) else normalize
        is_code = isinstance(steps, (list, tuple)) and any(map(callable, steps))
        self._normalize = steps if is_code else None
        names = None if is_code else as_buffer(steps, "normalization")
        self.register_buffer("normalize_names", names)
        self.register_buffer("tolerance", as_buffer(tolerance, "tolerance"))

    def forward(
        self,
        prediction: Variable,
        target: Any,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
        normalize: Any = NOT_GIVEN,
        tolerance: Any = NOT_GIVEN,
    ) -> tuple[Variable, Variable]:
        """Return score and explanation."""
        return functional.exact_match_evaluator(
            prediction,
            target,
            *self._reduction(reduction_fn, reduction_fn_purpose),
            first_given(normalize, self._normalize or self.normalize_names),
            first_given(tolerance, self.tolerance),
        )
