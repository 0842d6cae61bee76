"""Batches under way: collected, submitted, looked at until they end, handed out."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from afnio._text import shorten
from afnio._warn import warn
from afnio.errors import ModelError, ModelTimeoutError
from afnio.models._batch_store import BatchStore, Job
from afnio.models._messages import Reply, Request
from afnio.models._retry import with_retries

if TYPE_CHECKING:
    from afnio.models._base import BaseModel

T = TypeVar("T")
_log: Final = logging.getLogger("afnio.models")
Answer: TypeAlias = asyncio.Future[Reply | None]
Body: TypeAlias = Mapping[str, Any]

_FIRST_POLL_S: Final = 1.0
_POLL_GROWTH: Final = 1.5
_NOTE_S: Final = 0.02
"""Seconds in which replies handed out from the file become one note in it."""

_NOT_FOUND: Final = 404
_NO_SUCH_API: Final = frozenset({404, 405, 501})


class BatchWarning(UserWarning):
    """A provider's batch API did not answer, so its calls are made one by one."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far a batch is."""

    is_ended: bool
    problem: str | None = None
    """Why it ended without answering anything."""


class BatchApi(Protocol):
    """What a provider's batch API does."""

    def body(self, request: Request) -> Body:
        """Return the request in the provider's words."""

    async def submit(self, token: str, bodies: Mapping[str, Body]) -> str:
        """Submit bodies by item name; return the provider's name of the batch."""

    async def find(
        self, token: str, size: int, since: float, known: set[str]
    ) -> str | None:
        """Return the batch with our ``token``, if the provider has it."""

    async def status(self, job: str) -> Status:
        """Return how far a batch is."""

    async def replies(self, job: str) -> Mapping[str, Reply]:
        """Return what a batch that ended has answered, by item name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient a batch is; see `afnio.models.batch`."""

    linger_s: float
    poll_s: float
    max_calls: int
    wait_s: float


@dataclass(slots=True)
class _Collected:
    """Calls of one client and model for the next batch."""

    bodies: dict[str, Body] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None


class Jobs:
    """The batches of one file. Lives on afnio's loop.

    Attributes:
        submitted: Batches submitted.
    """

    def __init__(self, store: BatchStore, pace: Pace) -> None:
        self._store = store
        self._pace = pace
        self._answers: dict[str, Answer] = {}
        self._waiters: Counter[str] = Counter()
        self._collected: dict[tuple[int, str | None], _Collected] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._handed_out: set[str] = set()
        self._warned: set[str] = set()
        self._without_batches: set[str | None] = set()
        self.submitted = 0

    async def answer(
        self, client: BaseModel, api: BatchApi, request: Request, digest: str
    ) -> Reply | None:
        """Return the reply of a batch; None if it has none.

        Raises:
            ModelError: The batch cannot be looked at, or takes too long.
        """
        if client.endpoint in self._without_batches:
            return None
        answer = self._answers.get(digest)
        if answer is None:
            found = self._store.find(digest)
            if isinstance(found, Reply):
                if not found.cached:
                    self._note(digest)
                return found
            if found is not None:
                self._start(self._resume(client, api, found), found.items)
            else:
                self._collect(client, api, request, digest)
            answer = self._answers[digest]
        self._waiters[digest] += 1
        try:
            return await asyncio.shield(answer)
        finally:
            self._waiters[digest] -= 1

    def _note(self, digest: str) -> None:
        """Put on file, with others, that a reply was handed out."""
        if not self._handed_out:
            loop = asyncio.get_running_loop()
            loop.call_later(_NOTE_S, self._write_notes)
        self._handed_out.add(digest)

    def _write_notes(self) -> None:
        digests, self._handed_out = self._handed_out, set()
        self._store.deliver(digests)

    def _start(self, work: Coroutine[Any, Any, None], digests: Iterable[str]) -> None:
        loop = asyncio.get_running_loop()
        for digest in digests:
            self._answers.setdefault(digest, loop.create_future())
        task = loop.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _collect(
        self, client: BaseModel, api: BatchApi, request: Request, digest: str
    ) -> None:
        body, loop = api.body(request), asyncio.get_running_loop()
        place = (id(client), request.model)
        collected = self._collected.setdefault(place, _Collected())
        collected.bodies[digest] = body
        self._answers[digest] = loop.create_future()
        if collected.timer is not None:
            collected.timer.cancel()
        is_full = len(collected.bodies) >= self._pace.max_calls
        delay = 0.0 if is_full else self._pace.linger_s
        collected.timer = loop.call_later(delay, self._send, client, api, place)

    def _send(self, client: BaseModel, api: BatchApi, place: Any) -> None:
        """Submit what was collected and is still wanted."""
        bodies = self._collected.pop(place).bodies
        for digest in [d for d in bodies if not self._waiters[d]]:
            del bodies[digest], self._answers[digest]
        wanted, most = list(bodies), self._pace.max_calls
        for start in range(0, len(wanted), most):
            part = {digest: bodies[digest] for digest in wanted[start : start + most]}
            self._start(self._submit(client, api, part), part)

    async def _submit(
        self, client: BaseModel, api: BatchApi, bodies: Mapping[str, Body]
    ) -> None:
        token = uuid.uuid4().hex
        items = {digest: f"{token}-{n}" for n, digest in enumerate(bodies)}
        job = Job(token, None, time.time(), items)
        with self._settling(items):
            self._store.begin(token, str(client.endpoint), items)
            try:
                sent = {items[digest]: body for digest, body in bodies.items()}
                name = await self._submitted(client, api, job, sent)
            except ModelError as error:
                if error.status in _NO_SUCH_API:
                    self._without_batches.add(client.endpoint)
                self._give_up(job, f"could not be submitted: {error}")
                return
            self.submitted += 1
            self._store.submitted(token, name)
            _log.info("batch %s: %d calls submitted", name, len(items))
            await self._follow(client, api, job, name)

    async def _submitted(
        self, client: BaseModel, api: BatchApi, job: Job, bodies: Mapping[str, Body]
    ) -> str:
        """Submit; after an attempt without an answer, look whether it arrived."""
        tried = False

        async def attempt() -> str:
            nonlocal tried
            if tried and (name := await self._find(api, job)) is not None:
                return name
            tried = True
            return await api.submit(job.token, bodies)

        return await with_retries(attempt, client._retry, label="batch")

    async def _find(self, api: BatchApi, job: Job) -> str | None:
        known = self._store.known_jobs()
        return await api.find(job.token, len(job.items), job.created, known)

    async def _resume(self, client: BaseModel, api: BatchApi, job: Job) -> None:
        """Wait for a batch of an earlier run."""
        with self._settling(job.items):
            try:
                name = job.job or await _patiently(
                    client, partial(self._find, api, job)
                )
            except ModelError as error:
                self._give_up(job, f"could not be looked up: {error}")
                return
            if name is None:  # it never arrived
                self._store.finish(job.token, {})
                return
            self._store.submitted(job.token, name)
            _log.info("batch %s: %d calls of an earlier run", name, len(job.items))
            await self._follow(client, api, job, name)

    async def _follow(
        self, client: BaseModel, api: BatchApi, job: Job, name: str
    ) -> None:
        """Look at a batch until it ends, then hand its replies out."""
        try:
            status = await self._ended(client, api, job, name)
            if status is None:
                return
            if status.problem is not None:
                self._give_up(job, f"failed: {status.problem}")
                return
            found = await _patiently(client, partial(api.replies, name))
        except ModelError as error:
            if error.status != _NOT_FOUND:
                raise
            self._give_up(job, f"is gone: {error}")
            return
        replies = {d: found[item] for d, item in job.items.items() if item in found}
        _log.info("batch %s: %d of %d answered", name, len(replies), len(job.items))
        wanted = {digest for digest in replies if self._waiters[digest]}
        self._store.finish(job.token, replies, delivered=wanted)
        for digest in wanted:
            self._answers[digest].set_result(replies[digest])

    async def _ended(
        self, client: BaseModel, api: BatchApi, job: Job, name: str
    ) -> Status | None:
        """Return the last status of a batch; None if nobody waits any more."""
        delay = min(_FIRST_POLL_S, self._pace.poll_s)
        while any(self._waiters[digest] for digest in job.items):
            status = await _patiently(client, partial(api.status, name))
            if status.is_ended:
                return status
            if time.time() - job.created > self._pace.wait_s:
                raise _late(name, job, self._pace.wait_s)
            await asyncio.sleep(delay)
            delay = min(delay * _POLL_GROWTH, self._pace.poll_s)
        return None

    def _give_up(self, job: Job, why: str) -> None:
        """Forget a batch, so that its calls are made directly; say so once."""
        self._store.finish(job.token, {})
        if (short := shorten(why, 200)) not in self._warned:
            self._warned.add(short)
            warn(
                f"a batch of {len(job.items)} calls {short} Its calls are made one by "
                "one, at the full price.",
                BatchWarning,
            )

    @contextmanager
    def _settling(self, digests: Iterable[str]) -> Iterator[None]:
        """Leave nobody waiting, whatever happens."""
        failure: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001 - handed to all who wait
            failure = error
        finally:
            for digest in digests:
                answer = self._answers.pop(digest)
                if answer.done():
                    continue
                if failure is None:
                    answer.set_result(None)
                else:
                    answer.set_exception(failure)
                    answer.exception()  # mark as seen: perhaps nobody waits


async def _patiently(client: BaseModel, ask: Callable[[], Awaitable[T]]) -> T:
    return await with_retries(ask, client._retry, label="batch")


def _late(name: str, job: Job, wait_s: float) -> ModelTimeoutError:
    late = ModelTimeoutError(
        f"the batch {name} of {len(job.items)} calls was not answered within "
        f"{wait_s:g} s. It is on file: run the program again to wait for it."
    )
    late.retryable = False
    return late
