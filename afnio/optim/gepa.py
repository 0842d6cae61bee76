"""GEPA: reflective evolution over a Pareto front of candidates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._checks import require_int, require_word
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import SELECTORS, Minibatch, Parts, Stop
from afnio.optim._preset import Common, Preset
from afnio.optim.gates import Gate, Improve, TwoStage
from afnio.optim.memory import RejectedEdits
from afnio.optim.optimizer import ParamsT
from afnio.optim.pools import Pareto
from afnio.optim.proposers import Reflect

__all__ = ["GEPA"]


class GEPA(Preset):
    """Evolve prompts by reflection, from candidates that are best at something.

    Every accepted candidate stays in a pool, with its score on each validation sample.
    In every step parents are drawn from those that are best on some sample; a model
    reflects on their failures in training samples (with inputs, answers, targets and
    what the evaluator said; no critic is asked) and writes new texts. A proposal that
    does not do better on the samples it was made from, or does worse on the first few
    validation samples, costs no more. After a step the parameters hold the candidate
    with the highest mean score; `finish` compares the best ones on fresh draws.

    To draw parents it needs a closure that can train, such as `SampleClosure` with
    ``train``. With another closure it goes on from what the parameters hold, on the
    feedback that ``backward`` left in ``grad``; use ``credit_mode("passthrough")``
    there, as a `Trainer` does by itself.

    Args:
        params: Parameters that hold text, or groups of them. A group may have its own
            ``model_client``, ``constraints`` and ``completion_args``.
        model_client: Who reflects; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        parents: How many candidates are developed in a step.
        proposals: Candidates made of each.
        param_selector: ``"all"`` parameters with feedback are changed together, or one
            after the other (``"round_robin"``).
        ties: Who has a sample that several do best; see `Pareto`.
        merges: How many candidates may be made by uniting two, in all.
        batch_size: Training samples per parent and step.
        check: Who decides on these, before validation; None lets all pass.
        gate: Who decides on validation samples; default is `TwoStage`.
        rejected: How many rejected changes the model is shown.
        stop_when: When to do no more.
        options: Limits of a proposal.
        seed: Of the optimizer's own random generator.
        **completion_args: Passed to the model with every call.

    Model calls: the first step evaluates everything once. Then, per step and parent,
    ``batch_size`` samples; and per proposal one optimizer call for each parameter that
    changes, ``batch_size`` samples for the check, and validation: 8 samples of what is
    refused by the first stage, everything of what is accepted.

    Raises:
        InputTypeError: An option is of the wrong kind, or a parameter holds
            demonstrations.
        InputValueError: A number is too small, or a word unknown.

    Source: Agrawal et al. 2025, arXiv 2507.19457; differences: ties go to the newest,
    all parameters change together by default, proposals are made and evaluated at the
    same time, validation stops early, rejected changes are shown, the returned
    candidate is chosen on fresh draws.
    """

    credit_mode: ClassVar[str] = "passthrough"

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        parents: int = 1,
        proposals: int = 2,
        param_selector: Literal["all", "round_robin"] = "all",
        ties: Literal["newest", "all"] = "newest",
        merges: int = 0,
        batch_size: int = 4,
        check: Gate | None = Improve(),  # noqa: B008 - frozen
        gate: Gate | None = None,
        rejected: int = 8,
        stop_when: Stop | None = None,
        options: RewriteOptions | None = None,
        seed: int = 0,
        **completion_args: Any,
    ) -> None:
        parts = Parts(
            proposer=Reflect(),
            gate=TwoStage(),
            pool=Pareto(ties=ties),
            check=check,
            memory=RejectedEdits(require_int("rejected", rejected, 0)),
            selector=SELECTORS[
                require_word("param_selector", param_selector, SELECTORS)
            ],
            sampler=Minibatch(batch_size),
            parents=parents,
            proposals=proposals,
            merges=merges,
        )
        common = Common(model_client, constraints, gate, stop_when, options, seed)
        super().__init__(params, parts, common, **completion_args)
