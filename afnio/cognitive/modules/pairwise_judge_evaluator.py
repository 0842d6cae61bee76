"""PairwiseJudgeEvaluator as a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio._variable import Variable
from afnio.autodiff._chat import MultiTurnMessages
from afnio.cognitive import functional
from afnio.cognitive.modules._asking import Asking
from afnio.cognitive.modules._given import NOT_GIVEN, NotGiven, as_buffer
from afnio.cognitive.modules._reduction import Reduce, Reducing, Words
from afnio.errors import InputTypeError
from afnio.models import BaseModel
from afnio.models._chat_client import ChatClient


class PairwiseJudgeEvaluator(Asking, Reducing):
    """Ask a model whether predictions are better than a reference answer.

    Every argument may be given here or in a call, which comes first; see
    `afnio.autodiff.evaluator.PairwiseJudgeEvaluator` for what they mean.

    Args:
        forward_model_client: The judge.
        messages: Its instructions, with ``{first}`` and ``{second}``.
        swap: False judges in one order only. True unless given.
        reduction_fn: Makes one score of a batch's: by default `sum`; None keeps the
            list.
        reduction_fn_purpose: What it computes, in words.
        **completion_args: Passed to the client; ``response_schema=True`` constrains
            the judge's replies.
    """

    swap: Variable | None

    def __init__(
        self,
        forward_model_client: BaseModel | None = None,
        messages: MultiTurnMessages | None = None,
        swap: bool | Variable | None = None,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
        **completion_args: Any,
    ) -> None:
        super().__init__()
        self._register_asking(forward_model_client, messages, completion_args)
        self.register_buffer("swap", as_buffer(swap, "whether to judge twice"))
        self._register_reduction(reduction_fn, reduction_fn_purpose)

    def forward(
        self,
        forward_model_client: ChatClient | None = None,
        messages: MultiTurnMessages | None = None,
        prediction: Variable | None = None,
        target: Any = None,
        inputs: Mapping[str, Any] | None = None,
        swap: bool | Variable | None = None,
        reduction_fn: Reduce | NotGiven | None = NOT_GIVEN,
        reduction_fn_purpose: Words | NotGiven | None = NOT_GIVEN,
        **completion_args: Any,
    ) -> tuple[Variable, Variable]:
        """Return score and explanation.

        Raises:
            InputTypeError: There is no prediction or target; or no client or no
                messages, here or configured.
        """
        if prediction is None or target is None:
            raise InputTypeError(
                "PairwiseJudgeEvaluator needs a prediction and a target; pass them by "
                "name: judge(prediction=..., target=...)."
            )
        client, chat, args = self._for_call(
            forward_model_client, messages, completion_args
        )
        twice = self.swap if swap is None else swap
        reduction = self._reduction(reduction_fn, reduction_fn_purpose)
        return functional.pairwise_judge_evaluator(
            client,
            chat,
            prediction,
            target,
            inputs,
            True if twice is None else twice,
            *reduction,
            **args,
        )
