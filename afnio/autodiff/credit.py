"""Who assigns credit, and by which instructions."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, get_args

from afnio._dispatch import local
from afnio._variable import Variable
from afnio.autodiff._prompts import CRITIC_SYSTEM
from afnio.errors import InputTypeError, InputValueError

CreditMode = Literal["critic", "passthrough"]

_mode: contextvars.ContextVar[CreditMode] = contextvars.ContextVar(
    "afnio_credit_mode", default="critic"
)

_DEFAULT_PROMPT: Final = Variable(CRITIC_SYSTEM, "critic's system prompt")

_prompt: contextvars.ContextVar[Variable] = contextvars.ContextVar(
    "afnio_critic_prompt", default=_DEFAULT_PROMPT
)


def get_critic_prompt() -> Variable:
    """Return the critic's system prompt; a copy of the default is a good start."""
    return _prompt.get()


@contextmanager
def critic_prompt(prompt: Variable) -> Iterator[None]:
    """Give the critic another system prompt.

    With ``backward(create_graph=True)`` the critic calls are part of the graph, so a
    prompt that requires grad receives feedback from an outer backward.

    Args:
        prompt: A text. It must ask for a JSON object with one text per input, as the
            default does: ``Parameter(get_critic_prompt().data, role="critic")``.

    Raises:
        InputTypeError: It is not a Variable that holds text.
    """
    if not isinstance(prompt, Variable) or not isinstance(prompt.data, str):
        raise InputTypeError(
            "critic_prompt takes a Variable or Parameter that holds text, got "
            f"{type(prompt).__name__}."
        )
    with local(_prompt, prompt):
        yield


def get_credit_mode() -> CreditMode:
    """Return how model operations turn feedback on a reply into gradients."""
    return _mode.get()


@contextmanager
def credit_mode(mode: CreditMode) -> Iterator[None]:
    """Choose how model operations turn feedback on a reply into gradients.

    Args:
        mode: ``"critic"`` asks the backward model what in each input led to it;
            ``"passthrough"`` hands the feedback to every input as it is, with no model
            call, for optimizers that read the evidence themselves.

    Raises:
        InputValueError: Another mode.
    """
    if mode not in get_args(CreditMode):
        raise InputValueError(
            f"credit_mode takes {' or '.join(map(repr, get_args(CreditMode)))}, got "
            f"{mode!r}."
        )
    with local(_mode, mode):
        yield
