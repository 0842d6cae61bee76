"""LMJudgeEvaluator as a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from afnio._variable import Variable
from afnio.autodiff._chat import MultiTurnMessages
from afnio.cognitive import functional
from afnio.cognitive.modules._asking import Asking
from afnio.cognitive.modules._given import NOT_GIVEN, NotGiven, as_buffer, first_given
from afnio.cognitive.modules._reduction import Reduce, Reducing, Words
from afnio.errors import InputTypeError
from afnio.models import BaseModel
from afnio.models._chat_client import ChatClient


class LMJudgeEvaluator(Asking, Reducing):
    """Ask a model to score predictions and to explain why.

    Every argument may be given here or in a call, which comes first; see
    `afnio.autodiff.evaluator.LMJudgeEvaluator` for what they mean.

    Args:
        forward_model_client: The judge.
        messages: Its instructions, with ``{prediction}`` and ``{target}``.
        success_fn: Whether scores are the best possible.
        reduction_fn: Makes one score of a batch's: by default `sum`; None keeps the
            list.
        reduction_fn_purpose: What it computes, in words.
        eval_mode: False sends feedback to the judge's messages instead of to the
            prediction. True unless given.
        score_range: ``(lowest, highest)`` that a score may have.
        response_schema: Whether to constrain replies to a verdict. False unless given.
        **completion_args: Passed to the client.
    """

    success_fn: Callable[[list[Any]], Any] | None
    eval_mode: Variable | None
    score_range: Variable | None
    response_schema: Variable | None

    def __init__(
        self,
        forward_model_client: BaseModel | None = None,
        messages: MultiTurnMessages | None = None,
        success_fn: Callable[[list[Any]], Any] | None = None,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
        eval_mode: bool | Variable | None = None,
        score_range: Any = None,
        response_schema: bool | Variable | None = None,
        **completion_args: Any,
    ) -> None:
        super().__init__()
        self._register_asking(forward_model_client, messages, completion_args)
        self.register_function("success_fn", success_fn)
        self._register_reduction(reduction_fn, reduction_fn_purpose)
        self.register_buffer("eval_mode", as_buffer(eval_mode, "evaluation mode"))
        self.register_buffer("score_range", as_buffer(score_range, "range of scores"))
        self.register_buffer(
            "response_schema",
            as_buffer(response_schema, "whether to constrain replies"),
        )

    def forward(
        self,
        forward_model_client: ChatClient | None = None,
        messages: MultiTurnMessages | None = None,
        prediction: Variable | None = None,
        target: Any = None,
        inputs: Mapping[str, Any] | None = None,
        success_fn: Callable[[list[Any]], Any] | NotGiven | None = NOT_GIVEN,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
        eval_mode: bool | Variable | None = None,
        score_range: Any = None,
        response_schema: bool | Variable | None = None,
        **completion_args: Any,
    ) -> tuple[Variable, Variable]:
        """Return score and explanation.

        Raises:
            InputTypeError: There is no prediction; or no client or no messages, here
                or configured.
        """
        if prediction is None:
            raise InputTypeError(
                "LMJudgeEvaluator needs a prediction; pass it by name: "
                "judge(prediction=..., target=...)."
            )
        client, chat, args = self._for_call(
            forward_model_client, messages, completion_args
        )
        mode = self.eval_mode if eval_mode is None else eval_mode
        bounds = self.score_range if score_range is None else score_range
        form = self.response_schema if response_schema is None else response_schema
        reduce, purpose = self._reduction(reduction_fn, reduction_fn_purpose)
        return functional.lm_judge_evaluator(
            client,
            chat,
            prediction,
            target,
            inputs,
            first_given(success_fn, self.success_fn),
            reduce,
            purpose,
            True if mode is None else mode,
            bounds,
            False if form is None else form,
            **args,
        )
