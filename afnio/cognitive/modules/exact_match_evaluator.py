"""ExactMatchEvaluator as a module."""

from __future__ import annotations

from typing import Any

from afnio._variable import Variable
from afnio.cognitive import functional
from afnio.cognitive.modules._given import NOT_GIVEN
from afnio.cognitive.modules._reduction import Reducing


class ExactMatchEvaluator(Reducing):
    """Score 1 where prediction and target are equal, else 0.

    Args:
        reduction_fn: Makes one score of a batch's: by default `sum`; None keeps the
            list. A call may override it.
        reduction_fn_purpose: What it computes, in words.
    """

    def __init__(
        self, reduction_fn: Any = NOT_GIVEN, reduction_fn_purpose: Any = NOT_GIVEN
    ) -> None:
        super().__init__()
        self._register_reduction(reduction_fn, reduction_fn_purpose)

    def forward(
        self,
        prediction: Variable,
        target: Any,
        reduction_fn: Any = NOT_GIVEN,
        reduction_fn_purpose: Any = NOT_GIVEN,
    ) -> tuple[Variable, Variable]:
        """Return score and explanation."""
        reduction = self._reduction(reduction_fn, reduction_fn_purpose)
        return functional.exact_match_evaluator(prediction, target, *reduction)
