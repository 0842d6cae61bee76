"""JSONSchemaEvaluator as a module."""

from __future__ import annotations

from typing import Any

from afnio._variable import Variable
from afnio.cognitive import functional
from afnio.cognitive.modules._given import NOT_GIVEN, NotGiven, first_given, required
from afnio.cognitive.modules._reduction import Reduce, Reducing, Words


class JSONSchemaEvaluator(Reducing):
    """Score 1 where text is JSON that fits a schema, else 0.

    Every argument may be given here or in a call, which comes first; see
    `afnio.autodiff.evaluator.JSONSchemaEvaluator` for what they mean.

    Args:
        schema: A pydantic class or ``TypeAdapter``, or a JSON schema as a dict. It
            belongs to the program, not to the state.
        reduction_fn: Makes one score of a batch's: by default `sum`; None keeps the
            list.
        reduction_fn_purpose: What it computes, in words.
    """

    def __init__(
        self,
        schema: Any = None,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
    ) -> None:
        super().__init__()
        self._schema = schema
        self._register_reduction(reduction_fn, reduction_fn_purpose)

    def forward(
        self,
        prediction: Variable,
        target: Any = None,
        schema: Any = NOT_GIVEN,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
    ) -> tuple[Variable, Variable]:
        """Return score and explanation.

        Args:
            prediction: What to check.
            target: Not used; all evaluators can be called alike.
            schema: Instead of the configured one.
            reduction_fn: Instead of the configured one.
            reduction_fn_purpose: Instead of the configured one.

        Raises:
            InputTypeError: There is no schema, here or configured.
        """
        del target
        wanted = required(self, "schema", first_given(schema, self._schema))
        reduction = self._reduction(reduction_fn, reduction_fn_purpose)
        return functional.json_schema_evaluator(prediction, wanted, *reduction)
