"""Watching the call path: who wants to know of every call is told when it has ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from afnio.errors import InputTypeError, StateError
from afnio.models._messages import Reply, Request
from afnio.models._usage import Usage

if TYPE_CHECKING:
    from afnio.models._base import BaseModel

_log: Final = logging.getLogger("afnio.models")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """One call that has ended: answered, answered by a cache, or failed for good.

    Calls that were never made are no events: those that a budget or a strict replay
    refused, and those that shared the reply of an equal call in flight.
    """

    role: str
    """Who asked: ``forward``, ``judge``, ``critic``, ``optimizer`` or ``test``."""

    model: str | None
    """The model asked; ``reply.model`` is the one that answered."""

    provider: str | None
    endpoint: str | None
    """The base URL, of models that have one."""

    request: Request = field(repr=False)
    """Messages and arguments, as they were given; they may hold users' data."""

    reply: Reply | None = field(default=None, repr=False)
    """What came back; None for a failed call."""

    error: BaseException | None = None
    """Why there is no reply: a `ModelError`, or a cancellation."""

    attempts: int = 0
    """Requests sent, retries included; 0 for a cached reply."""

    started_at_s: float = 0.0
    """When it began, in seconds since 1970."""

    seconds: float = 0.0
    """How long it took: waiting for limits, retries and the reply."""

    @property
    def usage(self) -> Usage:
        """Tokens and cost; nothing for cached replies and failed calls."""
        return Usage() if self.reply is None else self.reply.usage

    @property
    def cached(self) -> bool:
        """Whether a cache or a recording answered."""
        return self.reply is not None and self.reply.cached


Observer: TypeAlias = Callable[[CallEvent], object]


class _Everywhere:
    """Holds the observers of the whole process."""

    observers: tuple[observe, ...] = ()
    lock = threading.Lock()


_here: Final[ContextVar[tuple[observe, ...]]] = ContextVar(
    "afnio_observers", default=()
)


class observe:  # noqa: N801 - reads as a statement, like no_grad
    """Tell ``callback`` of every model call when it has ended.

    ``observe(callback)`` alone watches the whole process until ``remove()``; ``with
    observe(callback):`` watches the calls dispatched inside the block. Observers add
    up. The callback is called on afnio's event loop, in the context of whoever made
    the call, before the reply is handed out: it must be quick and must not wait for
    model calls. An error in it is logged, once, and changes nothing else.

    Args:
        callback: Called with a `CallEvent`.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> seen = []
        >>> with observe(seen.append):
        ...     text = ScriptedModel("Rome").chat([{"role": "user", "content": "?"}])
        >>> seen[0].role, seen[0].reply.text, seen[0].attempts
        ('forward', 'Rome', 1)
    """

    def __init__(self, callback: Observer) -> None:
        if not callable(callback):
            raise InputTypeError(
                f"callback is {type(callback).__name__}; expected a function that "
                "takes a CallEvent."
            )
        self._callback = callback
        self._token: Token[tuple[observe, ...]] | None = None
        self._failed = False
        with _Everywhere.lock:
            _Everywhere.observers = (*_Everywhere.observers, self)

    def remove(self) -> None:
        """Stop watching the process; nothing happens the second time."""
        with _Everywhere.lock:
            left = tuple(item for item in _Everywhere.observers if item is not self)
            _Everywhere.observers = left

    def __enter__(self) -> Self:
        if self._token is not None:
            raise StateError("this observer is already in force; make a new one.")
        self.remove()
        self._token = _here.set((*_here.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._token is not None
        token, self._token = self._token, None
        _here.reset(token)

    def notify(self, event: CallEvent) -> None:
        """Call the callback; what it does wrong must not harm the call."""
        try:
            self._callback(event)
        except Exception:  # noqa: BLE001 - an onlooker's error is not the call's
            if not self._failed:
                self._failed = True
                _log.exception("an observer of model calls failed; calls go on")


class Watch:
    """One call under observation: knows when it began, and whom to tell."""

    __slots__ = ("_client", "_observers", "_request", "_started", "_started_at_s")

    def __init__(
        self, observers: tuple[observe, ...], client: BaseModel, request: Request
    ) -> None:
        self._observers = observers
        self._client = client
        self._request = request
        self._started = time.monotonic()
        self._started_at_s = time.time()

    def ended(
        self,
        attempts: int,
        *,
        reply: Reply | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Tell every observer what came of the call."""
        client, request = self._client, self._request
        event = CallEvent(
            role=request.role,
            model=request.model or client.model,
            provider=client.get_provider(),
            endpoint=client.endpoint,
            request=request,
            reply=reply,
            error=error,
            attempts=attempts,
            started_at_s=self._started_at_s,
            seconds=time.monotonic() - self._started,
        )
        for observer in self._observers:
            observer.notify(event)


def watch(client: BaseModel, request: Request) -> Watch | None:
    """Begin to watch a call made here, if anybody wants to know of it."""
    observers = (*_Everywhere.observers, *_here.get())
    return Watch(observers, client, request) if observers else None
