"""Calls that can wait, sent through providers' batch APIs at half the price.

Calls made inside a block are collected. When none has come for a moment, those that
wait become one batch; when it ends, each call goes on with its reply, and those that
depend on it make the next batch. What a batch did not answer is asked directly.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from afnio.errors import InputTypeError
from afnio.models._batch_jobs import BatchApi, Jobs, Pace
from afnio.models._batch_store import BatchStore
from afnio.models._checks import check_number
from afnio.models._keys import request_key
from afnio.models._loop_local import LoopLocal
from afnio.models._messages import Reply, Request

if TYPE_CHECKING:
    from afnio.models._base import BaseModel

Send: TypeAlias = Callable[[Request], Awaitable[Reply]]

_NOT_BATCHED: Final = ("extra_headers", "extra_query")
"""Arguments for which a batch has no place."""


class batch:  # noqa: N801 - reads as a statement, like no_grad
    """Send the chat calls made inside the block through providers' batch APIs.

    Batches cost half as much and are answered within a day, usually sooner. It fits
    work in which many calls do not wait for each other: validation, tests, wide
    minibatches. OpenAI and Anthropic have such an API; other clients, streams and
    servers without it are asked directly.

    The file remembers what was submitted. A program that was stopped, by Ctrl-C too,
    and is run again with the same file waits for those batches and pays nothing twice;
    what they have answered stays in the file.

    Args:
        path: The file; made when needed.
        linger_s: How long to wait for further calls before a batch is submitted.
        poll_s: Longest time between two looks at a batch.
        max_calls: Calls in one batch, at most.
        wait_s: How long to wait for one batch, counted from its submission. A call not
            answered by then raises `ModelTimeoutError`; running again waits again.

    Raises:
        FileFormatError: (on the first call) The file is of another kind.

    Examples:
        >>> from afnio.models import batch
        >>> from afnio.models.testing import ScriptedModel
        >>> with batch("validation.batches"):  # a scripted model is asked directly
        ...     ScriptedModel("Hi").chat([{"role": "user", "content": "Hello"}])
        'Hi'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        linger_s: float = 1.0,
        poll_s: float = 60.0,
        max_calls: int = 10_000,
        wait_s: float = 26 * 3600.0,
    ) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise InputTypeError(
                f"path is {type(path).__name__}; expected the path of a file that "
                "remembers what was submitted."
            )
        check_number("linger_s", linger_s, least=0)
        check_number("poll_s", poll_s, least=0)
        check_number("max_calls", max_calls, least=1)
        check_number("wait_s", wait_s, least=0)
        pace = Pace(
            linger_s=linger_s, poll_s=poll_s, max_calls=int(max_calls), wait_s=wait_s
        )
        self._store = BatchStore(path)
        self._jobs = LoopLocal(lambda: Jobs(self._store, pace))
        self._direct: set[str] = set()
        self._tokens: list[Token[batch | None]] = []
        self.answered = 0
        """Calls that a batch has answered, or the file from an earlier one."""
        self.direct = 0
        """Calls that were made one by one after all."""

    def __enter__(self) -> Self:
        self._tokens.append(_active.set(self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _active.reset(self._tokens.pop())

    def __repr__(self) -> str:
        return (
            f"batch({str(self._store.path)!r}, answered={self.answered}, "
            f"direct={self.direct})"
        )

    async def ask(self, client: BaseModel, request: Request) -> Reply | None:
        """Return the reply of a batch; None if the call has to be made directly.

        Raises:
            ModelError: The batch cannot be looked at, or takes too long.
        """
        key, api = request_key(client.identity, request), api_of(client)
        if key is None or api is None or key.digest in self._direct:
            return None
        if any(name in request.args for name in _NOT_BATCHED):
            return None
        reply = await self._jobs.get().answer(client, api, request, key.digest)
        if reply is None:
            self._direct.add(key.digest)
            self.direct += 1
        else:
            self.answered += 1
        return reply


_active: Final[ContextVar[batch | None]] = ContextVar("afnio_batch", default=None)


def api_of(client: BaseModel) -> BatchApi | None:
    """Return the batch API of a client, if it has one."""
    api: BatchApi | None = getattr(client, "_batch_api", None)
    return api


def is_batched(client: BaseModel, request: Request) -> bool:
    """Whether a call made here goes through a batch."""
    if _active.get() is None:
        return False
    return request.kind == "chat" and api_of(client) is not None


@contextmanager
def unbatched() -> Iterator[None]:
    """Make calls directly, also inside a `batch`."""
    token = _active.set(None)
    try:
        yield
    finally:
        _active.reset(token)


async def through_batch(client: BaseModel, send: Send, request: Request) -> Reply:
    """Answer from a batch, or by ``send`` where it has no answer."""
    active = _active.get()
    assert active is not None
    reply = await active.ask(client, request)
    return await send(request) if reply is None else reply
