"""SIMBA: learn from what sets the runs of one sample apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._checks import require_int, require_number
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim._preset import Common, Preset
from afnio.optim._simba import SIMBARound
from afnio.optim.gates import Gate, Improve, TwoStage
from afnio.optim.memory import RejectedEdits
from afnio.optim.optimizer import ParamsT
from afnio.optim.pools import TopKSoftmax
from afnio.optim.proposers import AppendRule

__all__ = ["SIMBA"]


class SIMBA(Preset):
    """Run samples several times, and add a rule or a demonstration from the contrast.

    In every step a parent is drawn, better ones more often, and run several times on
    the same training samples. Those samples whose runs differ most are looked at: a
    model contrasts the best run with the worst, and the rule that it finds is added to
    the text; or the best run is added to the demonstrations. Texts only grow, so mind
    ``max_length``. It needs answers that vary: a temperature above 0. Where all runs of
    a sample score alike and wrong, what is expected takes the place of the better run.

    It needs a closure that can train, such as `SampleClosure` with ``train``.

    Args:
        params: Parameters that hold text, `Demonstrations`, or groups of them. A group
            may have its own ``model_client``, ``constraints`` and ``completion_args``.
        model_client: Who writes rules; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        rollouts: Runs of each training sample.
        proposals: Samples that are learnt from in a step, each by a candidate.
        demos: Rows that demonstrations hold at most, the latest ones; a parameter's own
            ``max_demos`` goes first.
        demo_rate: Chance that a candidate adds a demonstration, where it might also add
            a rule.
        top: How many candidates parents are drawn from.
        temperature: Of that draw, over mean scores; small means greedy.
        batch_size: Training samples per step.
        check: Who decides on these, before validation; None lets all pass.
        finalists: How many candidates of a step go on to validation: those that gain
            most; None for all.
        gate: Who decides on validation samples; default is `TwoStage`.
        rejected: How many rejected changes the model is shown.
        stop_when: When to do no more.
        options: Limits of a proposal.
        seed: Of the optimizer's own random generator.
        **completion_args: Passed to the model with every call.

    Model calls: per step ``rollouts * batch_size`` samples, one optimizer call per
    parameter for each rule, ``batch_size`` samples for each check, and validation of
    the finalists by the closure.

    Raises:
        InputTypeError: An option is of the wrong kind.
        InputValueError: A number is too small.
        StateError: At a step: the closure has no training samples.

    Source: SIMBA, an optimizer of DSPy 2.6 (2025), which has no paper; differences: all
    runs of a step are the parent's, candidates are decided on validation samples that
    rules and demonstrations never come from, samples without a contrast are used too.
    """

    credit_mode: ClassVar[str] = "passthrough"
    round_type = SIMBARound

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        rollouts: int = 4,
        proposals: int = 4,
        demos: int = 4,
        demo_rate: float = 0.5,
        top: int = 4,
        temperature: float = 0.2,
        batch_size: int = 8,
        check: Gate | None = Improve(ties="newest"),  # noqa: B008 - frozen
        finalists: int | None = 2,
        gate: Gate | None = None,
        rejected: int = 8,
        stop_when: Stop | None = None,
        options: RewriteOptions | None = None,
        seed: int = 0,
        **completion_args: Any,
    ) -> None:
        self.rollouts = require_int("rollouts", rollouts, 2)
        self.demos = require_int("demos", demos, 1)
        self.demo_rate = require_number("demo_rate", demo_rate, 0.0, 1.0)
        parts = Parts(
            proposer=AppendRule(),
            gate=TwoStage(),
            pool=TopKSoftmax(require_int("top", top, 1), temperature),
            check=check,
            finalists=finalists,
            memory=RejectedEdits(require_int("rejected", rejected, 0)),
            sampler=Minibatch(batch_size),
            proposals=proposals,
        )
        common = Common(model_client, constraints, gate, stop_when, options, seed)
        super().__init__(params, parts, common, **completion_args)

    def _check_param(self, param: Variable) -> None:
        """Texts and demonstrations are both welcome."""
