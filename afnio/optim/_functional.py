"""`tgd`: textual gradient descent as a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from afnio._dispatch import gather, on_loop, run_sync
from afnio._variable import Variable
from afnio.errors import InputValueError
from afnio.models._chat_client import ChatClient
from afnio.optim._jobs import Job, warn_of_refusals
from afnio.optim._options import RewriteOptions
from afnio.optim._scores import asettle
from afnio.optim._tasks import (
    Buffer,
    default_messages,
    remember,
    settings_of,
    task_of,
)


async def atgd(
    params: Sequence[Variable],
    grads: Sequence[Sequence[Variable]],
    momentum_buffer_list: list[Buffer],
    model_client: ChatClient | None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    inputs: Mapping[str, Any] | None = None,
    constraints: Iterable[str | Variable] | None = None,
    momentum: int = 0,
    **completion_args: Any,
) -> None:
    """Await what `tgd` does."""
    if not len(params) == len(grads) == len(momentum_buffer_list):
        raise InputValueError(
            f"tgd got {len(params)} params, {len(grads)} lists of gradients and "
            f"{len(momentum_buffer_list)} momentum buffers; expected one of each."
        )
    group = {
        "model_client": model_client,
        "messages": default_messages() if messages is None else messages,
        "inputs": inputs,
        "constraints": constraints,
        "momentum": momentum,
        "completion_args": completion_args,
    }
    await on_loop(_atgd(params, grads, momentum_buffer_list, group))


async def _atgd(
    params: Sequence[Variable],
    grads: Sequence[Sequence[Variable]],
    buffers: list[Buffer],
    group: Mapping[str, Any],
) -> None:
    settings = await settings_of(group)
    await asettle([list(params), [list(item) for item in grads]])
    jobs = []
    for number, (param, given) in enumerate(zip(params, grads, strict=True)):
        task = task_of(param, given, buffers[number], settings, RewriteOptions())
        if task.feedback:
            jobs.append(Job(param, number, tuple(given), settings, task))
    jobs = await gather(job.run() for job in jobs)
    for job in jobs:
        if job.text is not None:
            old = buffers[job.number]
            old[:] = remember(old, job.param, job.grads, momentum=settings.momentum)
            job.param.data = job.text
    warn_of_refusals(jobs)


def tgd(
    params: Sequence[Variable],
    grads: Sequence[Sequence[Variable]],
    momentum_buffer_list: list[Buffer],
    model_client: ChatClient | None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    inputs: Mapping[str, Any] | None = None,
    constraints: Iterable[str | Variable] | None = None,
    momentum: int = 0,
    **completion_args: Any,
) -> None:
    """Rewrite ``params`` in place from ``grads``: the function behind `TGD`.

    Args:
        params: Variables that hold text.
        grads: The feedback on each.
        momentum_buffer_list: One list per parameter, ``[]`` at first; its contents are
            replaced.
        model_client: As for `TGD`, like all that follows.
        messages: Other words to ask with.
        inputs: Values for their placeholders.
        constraints: Rules that every new text must keep.
        momentum: How many steps are remembered.
        **completion_args: Passed to the model with every call.

    Raises:
        InputValueError: The lists differ in length.
        ModelError: A call failed; nothing has changed.
    """
    work = atgd(
        params,
        grads,
        momentum_buffer_list,
        model_client,
        messages,
        inputs,
        constraints,
        momentum,
        **completion_args,
    )
    run_sync(work)
