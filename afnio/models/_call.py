"""The one call path: what happens between asking a client and getting a reply.

``dedupe in flight → cache / replay → budget reservation → rate limiter → retry →
provider → usage & cost → settle → log``, each stage in a file of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from afnio.errors import ModelError, ModelTimeoutError, ReplayMissError
from afnio.models._amounts import (
    charge,
    estimated_usage,
    input_tokens,
    output_tokens,
    worst_case,
)
from afnio.models._budget import Reservation, active_budgets
from afnio.models._cache import ReplyCache, active_cache
from afnio.models._keys import Key, request_key
from afnio.models._limits import Limiter
from afnio.models._messages import Reply, Request
from afnio.models._retry import with_retries
from afnio.models._scopes import current_deadline
from afnio.models._structured import with_parsed
from afnio.models._usage import Usage

if TYPE_CHECKING:
    from afnio.models._base import BaseModel

Send = Callable[[Request], Awaitable[Reply]]
Flights = dict[Any, asyncio.Future[Reply | None]]

_log: Final = logging.getLogger("afnio.models")
_BYTES_PER_TOKEN: Final = 4


async def call(
    client: BaseModel, request: Request, send: Send, *, use_cache: bool = True
) -> Reply:
    """Answer ``request``, at most once for all who ask the same at the same time.

    Args:
        client: Whose limits, prices and usage apply.
        request: The question.
        send: Makes one attempt.
        use_cache: Whether a cache in force may be read and written.
    """
    cache = active_cache() if use_cache else None
    key = request_key(client.identity, request)
    work = partial(_answer, client, request, send, cache, key)
    if key is None:
        reply = await work()
    else:
        flight = (key.digest, id(cache), active_budgets())
        reply = await _shared(client._flights.get(), flight, work)
    return with_parsed(reply, request)


async def _shared(
    flights: Flights, key: Any, work: Callable[[], Awaitable[Reply]]
) -> Reply:
    """Await ``work()``, or the outcome of the same work in flight.

    If whoever does the work is cancelled, one of those who wait for it takes over.
    """
    while (flight := flights.get(key)) is not None:
        if (reply := await asyncio.shield(flight)) is not None:
            return reply
    flight = flights[key] = asyncio.get_running_loop().create_future()
    try:
        reply = await work()
    except asyncio.CancelledError:
        flight.set_result(None)
        raise
    except BaseException as error:
        flight.set_exception(error)
        flight.exception()  # mark as seen: often nobody else waits
        raise
    else:
        flight.set_result(reply)
        return reply
    finally:
        del flights[key]


async def _answer(
    client: BaseModel,
    request: Request,
    send: Send,
    cache: ReplyCache | None,
    key: Key | None,
) -> Reply:
    """Answer from the cache, or pay and remember."""
    if cache is None:
        return await paid(client, request, send)
    if key is None:
        if cache.mode == "replay":
            raise ReplayMissError(
                f"a {request.role} call of {request.model!r} has an argument without a "
                "JSON form, so it was never recorded; pass plain data."
            )
        return await paid(client, request, send)
    if (hit := cache.lookup(key)) is not None:
        client._meter.add_cached(role=request.role, model=_name(client, request))
        _log.debug("%s %s: from cache", request.role, _name(client, request))
        return hit
    reply = await paid(client, request, send)
    await cache.store(key, reply)
    return reply


def _name(client: BaseModel, request: Request) -> str | None:
    """Return the model that answers, as usage and prices name it."""
    return request.model or client.model


async def paid(client: BaseModel, request: Request, send: Send) -> Reply:
    """Charge every enclosing budget for the call."""
    prices = client._prices
    budgets, name = active_budgets(), _name(client, request)
    if not budgets:
        prices.warn_if_unknown(name)
        return await _metered(client, request, send)
    worst = worst_case(
        request, name, prices=prices, default_output=client.default_max_tokens
    )
    if all(budget.usd is None for budget in budgets):
        prices.warn_if_unknown(name)
    attempts, usage = _Attempts(send), Usage()
    async with Reservation(budgets, worst) as reservation:
        try:
            reply = await _metered(client, request, attempts)
            usage = reply.usage
        finally:
            reservation.actual = charge(
                worst, usage, sent=attempts.sent, lost=attempts.lost
            )
        return reply


class _Attempts:
    """Counts attempts, and those that a provider may bill although nothing came back.

    Attributes:
        sent: Attempts so far.
        lost: Those that timed out or were cancelled under way.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.sent = 0
        self.lost = 0

    async def __call__(self, request: Request) -> Reply:
        self.sent += 1
        try:
            return await self._send(request)
        except (ModelTimeoutError, asyncio.CancelledError):
            self.lost += 1
            raise


async def _metered(client: BaseModel, request: Request, send: Send) -> Reply:
    """Count what the call cost, or that it failed."""
    meter, name, started = client._meter, _name(client, request), time.monotonic()
    try:
        with meter.busy(role=request.role, model=name):
            reply = await _timely(client, request, send)
    except ModelError as error:
        meter.add_failed(role=request.role, model=name)
        error.model = error.model or name
        _log.debug("%s %s: %s", request.role, name, type(error).__name__)
        raise
    if not reply.usage.total_tokens:
        reply = replace(reply, usage=estimated_usage(request, reply))
    cost = client._prices.cost(reply.usage, name) or Decimal(0)
    if cost != reply.usage.cost_usd:
        reply = replace(reply, usage=reply.usage.priced(cost))
    meter.add(reply.usage, role=request.role, model=name)
    _log.debug(
        "%s %s: %d + %d tokens, $%.6f, %.3f s",
        request.role,
        name,
        reply.usage.input_tokens,
        reply.usage.output_tokens,
        cost,
        time.monotonic() - started,
    )
    return reply


async def _timely(client: BaseModel, request: Request, send: Send) -> Reply:
    """Hold the deadlines of the block and of the client."""
    policy, ends = client._retry, current_deadline()
    if policy.deadline_s is not None:
        own = time.monotonic() + policy.deadline_s
        ends = own if ends is None else min(ends, own)
    if ends is None:
        return await _limited(client, request, send)
    left = ends - time.monotonic()
    try:
        async with asyncio.timeout(left):
            return await _limited(client, request, send)
    except TimeoutError as error:
        late = ModelTimeoutError(
            f"a {request.role} call of {request.model!r} was not answered before its "
            "deadline, retries and waiting included.",
            model=request.model,
        )
        late.retryable = False
        raise late from error


async def _limited(client: BaseModel, request: Request, send: Send) -> Reply:
    """Try, and try again, each attempt in a slot of the endpoint's limiter."""
    limiter = client._limiter()
    if limiter is not None:
        tokens = _expected_tokens(client, request)
        send = partial(_in_slot, limiter, tokens, send)
    return await with_retries(partial(send, request), client._retry, label=request.role)


def _expected_tokens(client: BaseModel, request: Request) -> int:
    """Return what a provider is likely to count against tokens per minute."""
    limits = client._limits
    if limits is None or limits.tokens_per_minute is None:
        return 0
    return input_tokens(request) // _BYTES_PER_TOKEN + output_tokens(request.args, 0)


async def _in_slot(
    limiter: Limiter, tokens: int, send: Send, request: Request
) -> Reply:
    async with limiter.slot(tokens):
        return await send(request)
