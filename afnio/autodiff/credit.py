"""Who assigns credit: a critic model, or nobody yet."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from afnio.errors import InputValueError

CreditMode = Literal["critic", "passthrough"]

_mode: contextvars.ContextVar[CreditMode] = contextvars.ContextVar(
    "afnio_credit_mode", default="critic"
)


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
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)
