"""MIPRO: instructions and demonstrations, chosen together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._checks import require_bool, require_int
from afnio.optim._mipro import MIPRORound, Tried
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim._preset import Common, Preset
from afnio.optim._round import Round
from afnio.optim._tpe import load_optuna
from afnio.optim.gates import Gate, Improve
from afnio.optim.optimizer import ParamsT
from afnio.optim.pools import BestSeen
from afnio.optim.proposers import Rewrite

__all__ = ["MIPRO"]


class MIPRO(Preset):
    """Write instructions and draw demonstrations once; then search their combinations.

    The first step runs training samples, has a model describe the data, and asks for
    several texts for each parameter, every one with another aim. Right runs give rows
    for `Demonstrations`, in several random sets. From then on nothing is proposed any
    more: every step tries a few combinations, chosen by optuna's TPE from all scores so
    far, on a block of validation samples each; the combination with the best mean is
    then evaluated on everything, and kept if it passes the gate. The parameters hold
    the best one.

    As nothing is learnt from failures, it suits tasks where examples and phrasing
    matter, not hidden rules. It needs a closure with ``parameters``, such as
    `SampleClosure`, with several blocks. Without training samples, the evidence that
    ``backward`` left in ``grad`` gives examples and rows.

    Args:
        params: Parameters that hold text, `Demonstrations`, or groups of them. A group
            may have its own ``model_client``, ``constraints`` and ``completion_args``.
        model_client: Who writes texts; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        instructions: Texts per parameter, the present one included.
        demo_sets: Sets of rows per parameter with demonstrations, the present one and
            none at all included.
        demos: Rows of a set at most; a parameter's own ``max_demos`` caps it.
        labels: Whether the target of a failing sample may stand as a row's output.
        bootstrap: Training samples that the first step runs.
        trials: Combinations per step.
        minibatch: Blocks of samples that each of them is tried on.
        startup: Trials that are random, before the search learns from scores.
        gate: Who decides of the best mean, on all samples; default is `Improve`.
        stop_when: When to do no more.
        options: Limits of a proposal.
        seed: Of the optimizer's own random generator.
        **completion_args: Passed to the model with every call.

    Attributes:
        space: The options of each parameter; empty before the first step. One that was
            frozen in a step has what it held then, and nothing else, from then on.

    Model calls: the first step, ``bootstrap`` samples, 1 optimizer call for the summary
    and ``instructions - 1`` per parameter, and one full evaluation. Every step,
    ``trials * minibatch`` blocks, and at most one full evaluation.

    Raises:
        InputTypeError: An option is of the wrong kind.
        InputValueError: A number is too small.
        MissingExtraError: optuna is not installed.

    Source: MIPRO (Opsahl-Ong et al. 2024), arXiv 2406.11695; differences: a full
    evaluation after every step, in a paired comparison with the present values; a
    combination that is tried again sees new samples, and its scores are pooled; rows
    come from one batch of training samples.
    """

    credit_mode: ClassVar[str] = "passthrough"
    round_type = MIPRORound

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        instructions: int = 6,
        demo_sets: int = 6,
        demos: int = 4,
        labels: bool = True,
        bootstrap: int = 24,
        trials: int = 4,
        minibatch: int = 1,
        startup: int = 8,
        gate: Gate | None = None,
        stop_when: Stop | None = None,
        options: RewriteOptions | None = None,
        seed: int = 0,
        **completion_args: Any,
    ) -> None:
        self.instructions = require_int("instructions", instructions, 1)
        self.demo_sets = require_int("demo_sets", demo_sets, 1)
        self.demos = require_int("demos", demos, 1)
        self.labels = require_bool("labels", labels)
        self.trials = require_int("trials", trials, 1)
        self.minibatch = require_int("minibatch", minibatch, 1)
        self.startup = require_int("startup", startup, 1)
        self.space: list[list[Any]] = []
        self.tried: list[Tried] = []
        load_optuna()
        parts = Parts(
            proposer=Rewrite(),
            gate=Improve(),
            pool=BestSeen(),
            sampler=Minibatch(require_int("bootstrap", bootstrap, 1), tries=1),
        )
        common = Common(model_client, constraints, gate, stop_when, options, seed)
        super().__init__(params, parts, common, **completion_args)

    def _check_param(self, param: Variable) -> None:
        """Texts and demonstrations are both welcome."""

    def _commit(self, work: Round) -> None:
        found = cast("MIPRORound", work)
        self.space, self.tried = found.space, list(found.tried.values())
        super()._commit(work)

    def _search_state(self) -> dict[str, Any]:
        return {
            **super()._search_state(),
            "space": self.space,
            "tried": [each.to_dict() for each in self.tried],
        }

    def _load_search_state(self, saved: Mapping[str, Any]) -> None:
        super()._load_search_state(saved)
        self.space = [list(options) for options in saved["space"]]
        self.tried = [Tried.from_dict(each) for each in saved["tried"]]
