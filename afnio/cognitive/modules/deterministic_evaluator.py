"""DeterministicEvaluator as a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from afnio._variable import Variable
from afnio.cognitive import functional
from afnio.cognitive.modules._given import (
    NOT_GIVEN,
    NotGiven,
    as_buffer,
    first_given,
    required,
)
from afnio.cognitive.modules._reduction import Reduce, Words
from afnio.cognitive.modules.module import Module


class DeterministicEvaluator(Module):
    """Score predictions with a function.

    Every argument may be given here or in a call, which comes first; see
    `afnio.autodiff.evaluator.DeterministicEvaluator` for what they mean.

    Args:
        eval_fn: ``eval_fn(prediction, target)`` of one sample's values.
        eval_fn_purpose: What it measures, in words.
        success_fn: Whether scores are the best possible.
        reduction_fn: Makes one score of a batch's; None keeps the list.
        reduction_fn_purpose: What it computes, in words.
    """

    eval_fn: Callable[[Any, Any], Any] | None
    eval_fn_purpose: Variable | None
    success_fn: Callable[[list[Any]], Any] | None
    reduction_fn: Callable[[list[Any]], Any] | None
    reduction_fn_purpose: Variable | None

    def __init__(
        self,
        eval_fn: Callable[[Any, Any], Any] | None = None,
        eval_fn_purpose: str | Variable | None = None,
        success_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn_purpose: str | Variable | None = None,
    ) -> None:
        super().__init__()
        self.register_function("eval_fn", eval_fn)
        self.register_buffer("eval_fn_purpose", as_buffer(eval_fn_purpose, "purpose"))
        self.register_function("success_fn", success_fn)
        self.register_function("reduction_fn", reduction_fn)
        self.register_buffer(
            "reduction_fn_purpose", as_buffer(reduction_fn_purpose, "purpose")
        )

    def forward(
        self,
        prediction: Variable,
        target: Any,
        eval_fn: Any = NOT_GIVEN,
        eval_fn_purpose: Any = NOT_GIVEN,
        success_fn: Callable[[list[Any]], Any] | NotGiven | None = NOT_GIVEN,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
    ) -> tuple[Variable, Variable]:
        """Return score and explanation.

        Raises:
            InputTypeError: There is no ``eval_fn`` or purpose, here or configured.
        """
        purpose = first_given(eval_fn_purpose, self.eval_fn_purpose)
        return functional.deterministic_evaluator(
            prediction,
            target,
            required(self, "eval_fn", first_given(eval_fn, self.eval_fn)),
            required(self, "eval_fn_purpose", purpose),
            first_given(success_fn, self.success_fn),
            first_given(reduction_fn, self.reduction_fn),
            first_given(reduction_fn_purpose, self.reduction_fn_purpose),
        )
