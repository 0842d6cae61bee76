"""BeamTGD: several critiques, rewrites, paraphrases, and a beam of the best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._beam import BeamRound
from afnio.optim._checks import require_client, require_int, require_part
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim._preset import Common, Preset
from afnio.optim.gates import Always, Gate
from afnio.optim.optimizer import ParamsT
from afnio.optim.pools import BestSeen
from afnio.optim.proposers import Rewrite
from afnio.optim.screens import UCB, Screen

__all__ = ["BeamTGD"]


class BeamTGD(Preset):
    """Keep a beam of candidates; widen it by critiques, narrow it by a bandit.

    In every step each candidate of the beam is run on training samples. For a group of
    failures a model gives several reasons; each reason leads to one rewrite, and each
    rewrite to paraphrases. A bandit (`UCB` or `Halving`) spends evaluations on the
    promising ones of all these; as many as the beam holds are evaluated on everything
    and join the candidates. The best ``beam`` of all candidates go on; the
    parameters hold the best one.

    It needs a closure with ``parameters``, such as `SampleClosure`; blocks let the
    bandit save calls. Without training samples it goes on from what the parameters
    hold, on the feedback that ``backward`` left in ``grad``.

    Args:
        params: Parameters that hold text, or groups of them. A group may have its own
            ``model_client``, ``constraints`` and ``completion_args``.
        model_client: Who rewrites; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        critic: Who gives reasons; None for the one who rewrites.
        beam: Candidates that go on.
        critiques: Reasons asked for in one call; each becomes a rewrite.
        groups: Groups of failures per candidate and step, with reasons of their own.
        group_size: Failures in a group.
        paraphrases: Variations of each rewrite, besides itself.
        screen: Which proposals are evaluated on everything; None for all.
        batch_size: Training samples per candidate and step.
        gate: Who decides of those; default is `Always`: the beam is choice enough.
        stop_when: When to do no more.
        options: Limits of a proposal.
        seed: Of the optimizer's own random generator.
        **completion_args: Passed to the model with every call.

    Model calls: per step and candidate of the beam, ``batch_size`` samples, and for
    each group 1 critic call, ``critiques`` optimizer calls for rewrites and ``critiques
    * paraphrases`` for variations (per parameter). Then a share of a full evaluation of
    all of them (0.3 of it, with `UCB`), and ``beam`` full evaluations at most.

    Raises:
        InputTypeError: An option is of the wrong kind, or a parameter holds
            demonstrations.
        InputValueError: A number is too small.

    Source: ProTeGi (Pryzant et al. 2023), arXiv 2305.03495; differences: the number of
    proposals is chosen before asking instead of drawing from more, duplicates are
    dropped, who stays in the beam is evaluated on all samples, `finish` compares the
    best ones on fresh draws.
    """

    credit_mode: ClassVar[str] = "passthrough"
    round_type = BeamRound

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        critic: ChatClient | None = None,
        beam: int = 4,
        critiques: int = 4,
        groups: int = 1,
        group_size: int = 4,
        paraphrases: int = 1,
        screen: Screen | None = UCB(),  # noqa: B008 - frozen
        batch_size: int = 8,
        gate: Gate | None = None,
        stop_when: Stop | None = None,
        options: RewriteOptions | None = None,
        seed: int = 0,
        **completion_args: Any,
    ) -> None:
        self.critic = require_client("critic", critic)
        self.critiques = require_int("critiques", critiques, 1)
        self.groups = require_int("groups", groups, 1)
        self.group_size = require_int("group_size", group_size, 1)
        self.paraphrases = require_int("paraphrases", paraphrases, 0)
        if screen is not None:
            require_part("screen", screen, Screen, "methods pulls and keep")
        self.screen = screen
        parts = Parts(
            proposer=Rewrite(),
            gate=Always(),
            pool=BestSeen(),
            sampler=Minibatch(batch_size),
            parents=require_int("beam", beam, 1),
        )
        common = Common(model_client, constraints, gate, stop_when, options, seed)
        super().__init__(params, parts, common, **completion_args)
