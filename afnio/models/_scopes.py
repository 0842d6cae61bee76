"""What holds for every call made inside a block: a deadline, a role."""

from __future__ import annotations

import time
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

from afnio.errors import InputTypeError, InputValueError
from afnio.models._checks import check_number

_deadline: Final[ContextVar[float | None]] = ContextVar("afnio_deadline", default=None)
_role: Final[ContextVar[str]] = ContextVar("afnio_call_role", default="forward")


class deadline:  # noqa: N801 - reads as a statement, like no_grad
    """Let every call made inside the block end ``seconds`` after it began.

    A call that is not done by then, waiting included, raises `ModelTimeoutError`.
    Blocks nest; the earliest end holds.
    """

    def __init__(self, seconds: float) -> None:
        check_number("the deadline", seconds, above=True)
        self._seconds = seconds
        self._before: list[float | None] = []

    def __enter__(self) -> None:
        before = _deadline.get()
        self._before.append(before)
        ends = time.monotonic() + self._seconds
        _deadline.set(ends if before is None else min(before, ends))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _deadline.set(self._before.pop())


def current_deadline() -> float | None:
    """Return when calls made here must have ended, on the monotonic clock."""
    return _deadline.get()


class call_role:  # noqa: N801 - reads as a statement, like no_grad
    """Count every ``forward`` call made inside the block under another role.

    ``with call_role("test"): …`` keeps what a test costs apart from what training
    costs. Calls of judges, critics and optimizers keep their roles. Blocks nest; the
    innermost holds.
    """

    def __init__(self, role: str) -> None:
        if not isinstance(role, str):
            raise InputTypeError(f"role is {type(role).__name__}; expected str.")
        if not role:
            raise InputValueError("role is empty; expected a word, such as 'test'.")
        self._role = role
        self._tokens: list[Token[str]] = []

    def __enter__(self) -> None:
        self._tokens.append(_role.set(self._role))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _role.reset(self._tokens.pop())


def effective_role(role: str) -> str:
    """Return the role a call is counted under here."""
    return _role.get() if role == "forward" else role
