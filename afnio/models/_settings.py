"""Settings that are process-wide by default and local inside a ``with`` block."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Generic, TypeVar

from afnio.errors import StateError

T = TypeVar("T")


class Setting(Generic[T]):
    """A default that every thread sees, overridden by a context variable."""

    def __init__(self, name: str, default: T) -> None:
        self._name = name
        self._default = default
        self._override: ContextVar[T] = ContextVar(f"afnio_{name}")

    def get(self) -> T:
        """Return the value in force here."""
        return self._override.get(self._default)

    @property
    def default(self) -> T:
        """The process-wide value."""
        return self._default

    def apply(self, value: T) -> Applied[T]:
        """Make ``value`` the process-wide default.

        Used with ``with``, the default goes back to what it was, and ``value`` holds
        only inside the block.
        """
        previous, self._default = self._default, value
        return Applied(self, value, previous)

    def _enter(self, value: T, previous: T) -> Token[T]:
        if self._default is value:
            self._default = previous
        return self._override.set(value)

    def _leave(self, token: Token[T]) -> None:
        with suppress(ValueError):  # an async generator may end in another task
            self._override.reset(token)


class Applied(Generic[T]):
    """A setting just made; ``with`` makes it local to a block and undoes it after."""

    def __init__(self, setting: Setting[T], value: T, previous: T) -> None:
        self._setting = setting
        self._value = value
        self._previous = previous
        self._token: Token[T] | None = None

    def __enter__(self) -> T:
        if self._token is not None:
            raise StateError("this setting is already in force; make a new one.")
        self._token = self._setting._enter(self._value, self._previous)
        return self._value

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._token is not None
        token, self._token = self._token, None
        self._setting._leave(token)
