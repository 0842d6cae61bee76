"""A context variable that is switched at once, or until the end of a block."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import ClassVar, Self

from afnio._text import shorten
from afnio.errors import InputTypeError


class Switch:
    """Set `_flag` when made; used with ``with``, put it back at the end.

    Args:
        mode: The value to set.

    Raises:
        InputTypeError: ``mode`` is not a bool.
    """

    _flag: ClassVar[ContextVar[bool]]

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise InputTypeError(
                f"{type(self).__name__} takes True or False, got {shorten(repr(mode))}."
            )
        self.mode = mode
        self._previous = self._flag.get()
        self._flag.set(mode)

    def __enter__(self) -> Self:
        self._flag.set(self.mode)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._flag.set(self._previous)
