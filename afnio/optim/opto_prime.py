"""OptoPrime: one call that sees the whole program and updates all parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from afnio._variable import Variable
from afnio.errors import InputValueError
from afnio.models._chat_client import ChatClient
from afnio.optim._checks import require_int
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim._preset import Common, Preset
from afnio.optim.gates import Gate, Improve, Race
from afnio.optim.memory import Recent
from afnio.optim.optimizer import ParamsT
from afnio.optim.pools import Current
from afnio.optim.proposers import Graph

__all__ = ["OptoPrime"]


class OptoPrime(Preset):
    """Update all parameters together, by one look at how the program ran.

    A model sees some runs of the program, right ones and wrong ones, written as code:
    which parameters and values went into every call, what came out, and what was said
    about the result. It answers with new texts for those parameters that have to
    change. No critic is asked. So it suits programs of several calls, where it has to
    be found out which one is to blame.

    Feedback is what ``backward`` left in ``grad``; use ``credit_mode("passthrough")``
    there, as a `Trainer` does by itself. A closure that can train (such as
    `SampleClosure` with ``train``) needs no ``backward``.

    Args:
        params: Parameters that hold text, or one group of them. All are asked about in
            one call, so groups cannot have different clients.
        model_client: Who proposes; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        proposals: Candidates per step.
        memory_size: How many texts tried before are shown, with what came of them.
        batch_size: Training samples per step, for closures that can train.
        check: Who decides on these, before validation; None lets all pass.
        gate: Who decides on validation samples; default is `Race`. The paper takes
            every update: `Always`.
        stop_when: When to do no more.
        options: Limits of a proposal; ``failures`` and ``successes`` say how many runs
            are shown.
        seed: Of the optimizer's own random generator.
        **completion_args: Passed to the model with every call.

    Model calls: per step ``proposals`` optimizer calls in all, ``batch_size`` samples,
    as many for the check of each proposal, and validation by the closure.

    Raises:
        InputTypeError: An option is of the wrong kind, or a parameter holds
            demonstrations.
        InputValueError: A number is too small, or groups have different clients.

    Examples:
        >>> import json
        >>> from afnio import Variable
        >>> from afnio.models.testing import ScriptedModel
        >>> prompt = Variable("Greet them.", "system prompt", requires_grad=True)
        >>> prompt.append_grad(Variable("It does not use names."))
        >>> new = [{"name": "p0", "value": "Greet them by name."}]
        >>> model = ScriptedModel(json.dumps({"reasoning": "", "values": new}))
        >>> opt = OptoPrime([prompt], model)
        >>> opt.step(lambda: float("name" in prompt.data))
        1.0
        >>> prompt.data
        'Greet them by name.'

    Source: OptoPrime (Cheng et al. 2024), arXiv 2406.16218; differences: the code is
    put together from the evidence that the backward pass recorded, so it holds model
    calls only, not plain Python between them; updates are tested; texts are checked as
    everyone's, and asked for again with the reason.
    """

    credit_mode: ClassVar[str] = "passthrough"

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        proposals: int = 1,
        memory_size: int = 4,
        batch_size: int = 4,
        check: Gate | None = Improve(ties="newest"),  # noqa: B008 - frozen
        gate: Gate | None = None,
        stop_when: Stop | None = None,
        options: RewriteOptions | None = None,
        seed: int = 0,
        **completion_args: Any,
    ) -> None:
        parts = Parts(
            proposer=Graph(),
            gate=Race(),
            pool=Current(),
            check=check,
            memory=Recent(require_int("memory_size", memory_size, 0)),
            sampler=Minibatch(batch_size),
            proposals=proposals,
        )
        common = Common(model_client, constraints, gate, stop_when, options, seed)
        super().__init__(params, parts, common, **completion_args)

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        for other in self.param_groups:
            for name in ("model_client", "completion_args"):
                if group[name] != other[name]:
                    raise InputValueError(
                        f"OptoPrime asks about all parameters in one call, but two "
                        f"groups differ in {name!r}. Give it to the optimizer, or "
                        "use one optimizer for each group."
                    )
