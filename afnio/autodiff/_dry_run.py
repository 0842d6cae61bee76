"""A dry run: the prompts that a backward would send, without sending them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio import _dispatch
from afnio._variable import Variable
from afnio.autodiff._backward import GradInputs, plan_backward
from afnio.autodiff._engine import Pass
from afnio.models import ChatCompletionModel, Reply, set_backward_model_client
from afnio.models._messages import Messages

STAND_IN: Final = "(what the critic says here)"
"""Stands for feedback that an earlier critic call would have written."""


@dataclass(frozen=True, slots=True)
class CriticCall:
    """One call that a backward would make."""

    messages: tuple[Mapping[str, Any], ...]
    """Exactly what would be sent, except that feedback written by an earlier critic
    call of the same backward is `STAND_IN`."""

    @property
    def characters(self) -> int:
        """The size of the prompt."""
        return sum(len(str(turn["content"])) for turn in self.messages)


class _Recorder(ChatCompletionModel):
    """Keeps requests and answers in the form that the critic is asked for.

    It answers before the call path, so no cache, budget or limit notices. It is apart
    from `afnio.models.plan`, which counts and prices calls of every role and keeps no
    texts: here only the critic is replaced, and its prompts are what is asked for.
    """

    def __init__(self) -> None:
        super().__init__(provider="dry-run")
        self.calls: list[CriticCall] = []

    async def agenerate(self, messages: Messages, **args: Any) -> Reply:
        """Note the request; say something of every input that it asks about."""
        self.calls.append(CriticCall(tuple(messages)))
        schema = args["response_format"]["json_schema"]["schema"]
        return Reply(json.dumps(dict.fromkeys(schema["required"], STAND_IN)))


def dry_run(
    variables: Variable | Sequence[Variable],
    grad_variables: Variable | Sequence[Variable | None] | None = None,
    inputs: GradInputs | None = None,
) -> tuple[CriticCall, ...]:
    """Return the critic calls that `backward` would make; ``len()`` is their number.

    Nothing is sent, no ``grad`` is written and the graph stays as it is. Values that
    are still pending are waited for. Every critic call is assumed to have something to
    say, so the number is an upper bound where critics may answer with empty feedback.

    Model calls: none by afnio. A user's own `Function.backward` and hooks do run.

    Args:
        variables: As for `backward`.
        grad_variables: As for `backward`.
        inputs: As for `backward`.
    """
    work = plan_backward(variables, grad_variables, retain_graph=True, inputs=inputs)
    return _dispatch.run_sync(_record(work))


async def adry_run(
    variables: Variable | Sequence[Variable],
    grad_variables: Variable | Sequence[Variable | None] | None = None,
    inputs: GradInputs | None = None,
) -> tuple[CriticCall, ...]:
    """Await what `dry_run` does."""
    work = plan_backward(variables, grad_variables, retain_graph=True, inputs=inputs)
    return await _dispatch.on_loop(_record(work))


async def _record(work: Pass) -> tuple[CriticCall, ...]:
    recorder = _Recorder()
    with set_backward_model_client(recorder):
        await work.run()
    return tuple(recorder.calls)
