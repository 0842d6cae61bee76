"""Controls: what a comparison of optimizers needs beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from afnio._dispatch import call_user
from afnio._variable import Variable
from afnio.optim._jobs import Job
from afnio.optim._options import RewriteOptions
from afnio.optim._prompts import CONTROL_SYSTEM, CONTROL_USER
from afnio.optim.gates import Gate
from afnio.optim.optimizer import Closure, Optimizer, ParamsT
from afnio.optim.tgd import TGD

__all__ = ["NoOp", "RandomRewrite"]


class NoOp(Optimizer):
    """Change nothing: what noise alone does to the scores of a run.

    Args:
        params: The parameters to leave alone.

    Model calls: those of the closure.
    """

    def __init__(self, params: ParamsT) -> None:
        super().__init__(params, {})

    async def _astep(self, closure: Closure | None = None) -> Any:
        self._steps += 1
        return None if closure is None else await call_user(closure)


class RandomRewrite(TGD):
    """Ask for a better text without showing any feedback: what data is worth.

    It rewrites every parameter at every step, from its text and role alone.

    Args:
        params: As for `TGD`, like all that follows.
        model_client: Who rewrites; None for the backward model client.
        constraints: Rules that every new text must keep.
        gate: Accept a step only if this says so.
        options: Limits of a rewrite, and the number of candidates.
        **completion_args: Passed to the model with every call.

    Model calls: 1 optimizer call per parameter and candidate; with a gate, evaluations
    besides.

    Source: the data-free control of "Textual Gradients are a Flawed Metaphor" (2025),
    arXiv 2512.13598.
    """

    def __init__(
        self,
        params: ParamsT,
        model_client: Any = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        gate: Gate | None = None,
        options: RewriteOptions | None = None,
        **completion_args: Any,
    ) -> None:
        messages: Sequence[Mapping[str, Any]] = [
            {"role": "system", "content": [CONTROL_SYSTEM]},
            {"role": "user", "content": [CONTROL_USER]},
        ]
        super().__init__(
            params,
            model_client,
            messages,
            None,
            constraints,
            gate=gate,
            options=options,
            **completion_args,
        )

    def _wants(self, job: Job) -> bool:
        del job
        return True
