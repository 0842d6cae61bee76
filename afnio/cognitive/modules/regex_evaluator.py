"""RegexEvaluator as a module."""

from __future__ import annotations

import re
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
from afnio.cognitive.modules._reduction import Reduce, Reducing, Words


class RegexEvaluator(Reducing):
    """Score 1 where a regular expression matches, else 0.

    Every argument may be given here or in a call, which comes first; see
    `afnio.autodiff.evaluator.RegexEvaluator` for what they mean.

    Args:
        pattern: The expression. Text belongs to the state, a compiled pattern to the
            program.
        mode: ``search``, ``match`` or ``fullmatch``; ``search`` unless given.
        reduction_fn: Makes one score of a batch's: by default `sum`; None keeps the
            list.
        reduction_fn_purpose: What it computes, in words.
    """

    pattern: Variable | None
    mode: Variable | None

    def __init__(
        self,
        pattern: str | re.Pattern[str] | Variable | None = None,
        mode: str | Variable | None = None,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
    ) -> None:
        super().__init__()
        self._compiled = pattern if isinstance(pattern, re.Pattern) else None
        text = None if self._compiled else as_buffer(pattern, "regular expression")
        self.register_buffer("pattern", text)
        self.register_buffer("mode", as_buffer(mode, "how to match"))
        self._register_reduction(reduction_fn, reduction_fn_purpose)

    def forward(
        self,
        prediction: Variable,
        target: Any = None,
        pattern: Any = NOT_GIVEN,
        mode: Any = NOT_GIVEN,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
    ) -> tuple[Variable, Variable]:
        """Return score and explanation.

        Args:
            prediction: What to match.
            target: Not used; all evaluators can be called alike.
            pattern: The expression, instead of the configured one.
            mode: How to match, instead of what is configured.
            reduction_fn: Instead of the configured one.
            reduction_fn_purpose: Instead of the configured one.

        Raises:
            InputTypeError: There is no pattern, here or configured.
        """
        del target
        configured = self._compiled or self.pattern
        wanted = required(self, "pattern", first_given(pattern, configured))
        how = first_given(mode, "search" if self.mode is None else self.mode)
        reduction = self._reduction(reduction_fn, reduction_fn_purpose)
        return functional.regex_evaluator(prediction, wanted, how, *reduction)
