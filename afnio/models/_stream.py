"""Replies that arrive piece by piece, across event loops and threads."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from afnio._dispatch import Deferred, call_site, spawn
from afnio.errors import ModelError, StateError
from afnio.models._batch import unbatched
from afnio.models._call import paid
from afnio.models._messages import Reply, Request
from afnio.models._structured import with_parsed

if TYPE_CHECKING:
    from afnio.models.model import ChatCompletionModel

Emit: TypeAlias = Callable[[str], None]
"""Takes the next piece of text; may be called from any thread."""


class Stream:
    """The text of one reply, in pieces, as it is generated; then the whole `Reply`.

    Iterate with ``async for`` on any event loop, or with a plain ``for``. A stream that
    is closed, or dropped, before its end cancels the call.

    Args:
        start: Makes the call, told where to put the pieces; started at once.

    Raises:
        ModelError: (while iterating) The call failed; pieces that came before it did
            stand.
    """

    def __init__(self, start: Callable[[Emit], Coroutine[Any, Any, Reply]]) -> None:
        self._channel = _Channel()
        self._work: Deferred[Reply] = Deferred("a streamed reply", call_site())
        spawn(start(self._channel.put), self._work)
        self._work.on_done(self._channel.wake)
        self._cancel = weakref.finalize(self, self._work.cancel)
        self._cancel.atexit = False

    @property
    def reply(self) -> Reply:
        """The whole reply: text, tool calls, usage.

        Raises:
            StateError: It has not arrived in full; iterate to the end first.
        """
        if not self._work.succeeded():
            raise StateError(
                "the reply is not there yet; iterate over the stream to its end first."
            )
        return self._work.result()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while True:
            news = self._channel.news()  # before looking: what comes later is news
            if (piece := self._channel.take()) is not None:
                return piece
            if self._is_over():
                raise StopAsyncIteration
            await news

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            news = self._channel.news()
            if (piece := self._channel.take()) is not None:
                return piece
            if self._is_over():
                raise StopIteration
            news.wait()

    def _is_over(self) -> bool:
        """Whether the call has ended and every piece was taken; raises its error."""
        if not self._work.done() or self._channel.has_pieces():
            return False
        self._work.result()
        return True

    def close(self) -> None:
        """Cancel the call, if it still runs."""
        self._cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cancel()

    async def aclose(self) -> None:
        """Cancel the call, if it still runs."""
        self._cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cancel()


class _Channel:
    """Hands pieces from one thread to another."""

    def __init__(self) -> None:
        self._pieces: deque[str] = deque()
        self._news: Deferred[None] = Deferred("the next piece of a reply")
        self._lock = threading.Lock()

    def put(self, piece: str) -> None:
        """Add a piece; empty ones are dropped."""
        if piece:
            self._pieces.append(piece)
            self.wake()

    def take(self) -> str | None:
        """Return the next piece, if there is one."""
        return self._pieces.popleft() if self._pieces else None

    def has_pieces(self) -> bool:
        """Whether there is something to take."""
        return bool(self._pieces)

    def wake(self) -> None:
        """Tell the reader to look again."""
        with self._lock:
            news, self._news = self._news, Deferred("the next piece of a reply")
        news.resolve(None)

    def news(self) -> Deferred[None]:
        """Return what is delivered when there is something new from now on."""
        return self._news


async def streamed(client: ChatCompletionModel, request: Request, emit: Emit) -> Reply:
    """Answer ``request`` through the call path, past caches and calls in flight."""
    said_something = False

    def pass_on(piece: str) -> None:
        nonlocal said_something
        said_something = said_something or bool(piece)
        emit(piece)

    async def send(request: Request) -> Reply:
        try:
            return await client._stream(request, pass_on)
        except ModelError as error:
            if said_something:
                error.retryable = False  # what was said cannot be taken back
            raise

    with unbatched():
        return with_parsed(await paid(client, request, send), request)
