"""Calling users' code: steps and hooks of agents, methods of callbacks, loaders."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from afnio._dispatch import call_user
from afnio._text import describe, shorten
from afnio.autodiff.grad_mode import no_grad
from afnio.cognitive.modules.module import Module
from afnio.errors import AfnioError
from afnio.trainer.callbacks import Callback

if TYPE_CHECKING:
    from afnio.trainer._state import TrainerState

_END: Final = object()

_OF_FORM: Final = (AttributeError, LookupError, TypeError, ValueError)
"""Errors of code that reads a batch in a way that does not fit its form."""


class MissingHookError(AfnioError, NotImplementedError, AttributeError):
    """An agent lacks a step that the Trainer has to call."""


async def fire(
    trainer: TrainerState, agent: Module, name: str, *args: Any
) -> list[Any]:
    """Call the hook ``name`` of every callback, then of the agent, in order.

    Callbacks get the trainer and the agent first. What hooks do nothing is not called.

    Returns:
        What they returned.
    """
    results = await fire_callbacks(trainer, agent, name, *args)
    if (hook := _own(agent, name, Module)) is not None:
        results.append(await call_user(hook, *args))
    return results


async def fire_callbacks(
    trainer: TrainerState, agent: Module, name: str, *args: Any
) -> list[Any]:
    """Call the hook ``name`` of every callback, in order; return what they returned."""
    return [
        await call_user(hook, trainer, agent, *args)
        for callback in trainer.callbacks
        if (hook := _own(callback, name, Callback)) is not None
    ]


def has(agent: Module, name: str) -> bool:
    """Whether the agent overrides a step or hook."""
    return _own(agent, name, Module) is not None


def _own(owner: Any, name: str, base: type) -> Callable[..., Any] | None:
    """Return the hook, unless it is the one that does nothing."""
    hook = getattr(owner, name, None)
    empty = getattr(base, name, _END)
    return None if getattr(hook, "__func__", None) is empty else hook


def require(agent: Module, *names: str) -> None:
    """Check that the agent defines what will be called, before anything is paid.

    Raises:
        MissingHookError: It does not.
    """
    for name in names:
        if not has(agent, name):
            raise MissingHookError(
                f"{type(agent).__name__} defines no {name}(); the Trainer needs it "
                "here. Override it in your Module."
            )


async def call_step(step: Callable[..., Any], *args: Any) -> Any:
    """Call a user's step; a pending Variable that it returns is not waited for."""
    if inspect.iscoroutinefunction(step):
        return await step(*args)
    (result,) = await call_user(lambda: (step(*args),))
    return await result if inspect.iscoroutine(result) else result


@contextmanager
def step_named(agent: Module, name: str, batch: Any) -> Iterator[None]:
    """Note, on an error that a batch of another form causes, which step had which."""
    try:
        yield
    except Exception as error:
        if note := form_note(error, agent, name, batch):
            error.add_note(note)
        raise


def form_note(error: BaseException, agent: Module, name: str, batch: Any) -> str:
    """Return which step had which batch, if its form may be why the step failed."""
    if not isinstance(error, _OF_FORM) or isinstance(error, AfnioError):
        return ""
    return f"in {type(agent).__name__}.{name}; {_form(batch)}"


def _form(batch: Any) -> str:
    if isinstance(batch, Mapping):
        names = ", ".join(map(repr, batch.keys()))
        return f"the batch is a dict with the keys {shorten(names)}"
    if isinstance(batch, (tuple, list)):
        kinds = ", ".join(type(part).__name__ for part in batch)
        return f"the batch is a {type(batch).__name__} of {len(batch)} ({kinds[:80]})"
    return f"the batch is {describe(batch)}"


async def windows(
    batches: Iterable[Any], size: int, skip: int = 0
) -> AsyncIterator[list[tuple[int, Any]]]:
    """Yield lists of up to ``size`` numbered batches, from any iterable.

    Args:
        batches: Read on the thread for users' functions, no further than needed.
        size: Batches per list.
        skip: Leave out as many batches at the start.
    """
    iterator = await call_user(iter, batches)
    window: list[tuple[int, Any]] = []
    number = 0
    while (batch := await call_user(next, iterator, _END)) is not _END:
        if number >= skip:
            window.append((number, batch))
        number += 1
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window


@contextmanager
def modes_kept(agent: Module) -> Iterator[None]:
    """Put every module back in the mode it was in, at the end of the block."""
    modes = [(module, module.training) for module in agent.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def evaluating(agent: Module) -> Iterator[None]:
    """Evaluate inside the block: ``eval()`` and `no_grad`, undone afterwards."""
    with modes_kept(agent), no_grad():
        agent.eval()
        yield
