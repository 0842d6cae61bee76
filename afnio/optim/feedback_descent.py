"""FeedbackDescent: one best program, compared pair by pair, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final, Literal

from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._checks import require_client, require_int, require_word
from afnio.optim._descent import DescentRound
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim._preset import Common, Preset
from afnio.optim.gates import Gate, Improve
from afnio.optim.memory import Rationales
from afnio.optim.optimizer import ParamsT
from afnio.optim.pools import Current
from afnio.optim.proposers import Reconsider

__all__ = ["FeedbackDescent"]

PREFERENCES: Final = ("scores", "judge")
"""Who decides."""


class FeedbackDescent(Preset):
    """Improve one best program by what was said when others were compared with it.

    In every step a model writes a candidate from the present text, its failures, and
    all that was said since the last win. Both are run on the same training samples, and
    a judge says which it prefers and why. That rationale goes to the next proposals,
    until one of them wins. It suits tasks where comparing is easier than scoring.

    It needs a closure that can train, such as `SampleClosure` with ``train``, for the
    comparison; with another one, scores alone are told.

    Args:
        params: Parameters that hold text, or groups of them. A group may have its own
            ``model_client``, ``constraints`` and ``completion_args``.
        model_client: Who proposes; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        judge: Who compares; None for the model of the first group.
        prefer: Who decides: ``"scores"`` on validation samples, by the gate; or the
            ``"judge"`` by the training samples, with no validation at all.
        rationales: How many comparisons since the last win are shown, the latest ones.
        proposals: Candidates per step.
        batch_size: Training samples per step, on which both are compared.
        gate: Who decides on validation samples, unless the judge does; default is
            `Improve`.
        stop_when: When to do no more.
        options: Limits of a proposal.
        seed: Of the optimizer's own random generator; it draws samples, and which of
            the two the judge sees first.
        **completion_args: Passed with every call of the proposer.

    Model calls: per step ``batch_size`` samples, and for each proposal one optimizer
    call per parameter, ``batch_size`` samples, 1 judge call, and validation by the
    closure (none if the judge decides).

    Raises:
        InputTypeError: An option is of the wrong kind, or a parameter holds
            demonstrations.
        InputValueError: A number is too small, or a word unknown.
        StateError: At a step: the judge is to decide, and the closure cannot train.

    Examples:
        >>> from afnio import Variable
        >>> from afnio.models.testing import ScriptedModel, in_tags
        >>> prompt = Variable("Greet them.", "system prompt", requires_grad=True)
        >>> prompt.append_grad(Variable("It does not use names."))
        >>> model = ScriptedModel(in_tags("Greet them by name."))
        >>> opt = FeedbackDescent([prompt], model)
        >>> opt.step(lambda: float("name" in prompt.data))
        1.0
        >>> opt.history[0].reason
        'mean difference +1.000 above +0.000'

    Source: Feedback Descent (2025), arXiv 2511.07919; differences: scores decide by
    default, in a paired comparison; judge and proposer see samples of a program, in
    random order of the two versions; failures of the present text are shown, too.
    """

    credit_mode: ClassVar[str] = "passthrough"
    round_type = DescentRound

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        judge: ChatClient | None = None,
        prefer: Literal["scores", "judge"] = "scores",
        rationales: int = 16,
        proposals: int = 1,
        batch_size: int = 4,
        gate: Gate | None = None,
        stop_when: Stop | None = None,
        options: RewriteOptions | None = None,
        seed: int = 0,
        **completion_args: Any,
    ) -> None:
        self.judge = require_client("judge", judge)
        self.prefer = require_word("prefer", prefer, PREFERENCES)
        parts = Parts(
            proposer=Reconsider(),
            gate=Improve(),
            pool=Current(),
            memory=Rationales(require_int("rationales", rationales, 0)),
            sampler=Minibatch(batch_size),
            proposals=proposals,
        )
        common = Common(model_client, constraints, gate, stop_when, options, seed)
        super().__init__(params, parts, common, **completion_args)
