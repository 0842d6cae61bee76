"""The one call path: what happens between asking a client and getting a reply.

``dedupe in flight → cache / replay → budget reservation → rate limiter → retry →
provider → usage & cost → settle → observers, log``, each stage in a file of its own.
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

from afnio.errors import BudgetError, ModelError, ModelTimeoutError, ReplayMissError
from afnio.models._amounts import (
    amount_of,
    charge,
    estimated_usage,
    input_tokens,
    output_tokens,
    worst_case,
)
from afnio.models._attempts import Attempts, Send
from afnio.models._batch import is_batched, through_batch
from afnio.models._budget import Budget, Reservation, active_budgets
from afnio.models._cache import ReplyCache, active_cache
from afnio.models._keys import Key, request_key
from afnio.models._limits import Limiter
from afnio.models._messages import Reply, Request
from afnio.models._observe import watch
from afnio.models._plan import active_plan
from afnio.models._quotas import NO_LOAD, Load
from afnio.models._retry import with_retries
from afnio.models._scopes import current_deadline
from afnio.models._structured import parsed, with_parsed
from afnio.models._usage import Usage

if TYPE_CHECKING:
    from afnio.models._base import BaseModel

Flights = dict[Any, asyncio.Future[Reply | None]]

_log: Final = logging.getLogger("afnio.models")
_BYTES_PER_TOKEN: Final = 4
_NOTHING: Final = Decimal(0)


def asks_nobody() -> bool:
    """Whether no call is sent here: a plan is made, or recordings are replayed."""
    cache = active_cache()
    return active_plan() is not None or (cache is not None and cache.mode == "replay")


async def call(
    client: BaseModel,
    request: Request,
    send: Send,
    *,
    use_cache: bool = True,
    stand_in: str | None = None,
) -> Reply:
    """Answer ``request``, at most once for all who ask the same at the same time.

    Args:
        client: Whose limits, prices and usage apply.
        request: The question.
        send: Makes one attempt.
        use_cache: Whether a cache in force may be read and written.
        stand_in: The answer while a plan is made.
    """
    if (cache := active_cache() if use_cache else None) is not None:
        await cache._opened()
    if (planned := active_plan()) is not None:
        key = request_key(client.identity, request)
        reply = planned.answer(client, request, (cache, key), stand_in)
        return with_parsed(reply, request)  # asks nobody for a repair
    if is_batched(client, request):
        send = partial(through_batch, client, _slotted(client, request, send))
    reply = await _once(client, send, cache, request)
    if request.args.get("response_format") is None:
        return reply
    return await parsed(reply, request, partial(_once, client, send, cache))


async def _once(
    client: BaseModel, send: Send, cache: ReplyCache | None, request: Request
) -> Reply:
    """Answer ``request``, or share the answer of the same request in flight."""
    key = request_key(client.identity, request)
    work = partial(_answer, client, request, send, cache, key)
    if key is None:
        return await work()
    flight = (key.digest, id(cache), active_budgets())
    return await _shared(client._flights.get(), flight, work)


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
                f"the {request.role} call of {request.model!r} has an argument without "
                "a JSON form, so it was never recorded; pass plain data."
            )
        return await paid(client, request, send)
    watched = watch(client, request)
    if (hit := cache.lookup(key)) is not None:
        if watched is not None:
            watched.ended(0, reply=hit)
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
    """Ask, charge every enclosing budget, and tell those who watch."""
    if (planned := active_plan()) is not None:
        return planned.answer(client, request)
    budgets, watched = active_budgets(), watch(client, request)
    attempts = Attempts(client, send)
    if not budgets and watched is None:
        client._prices.warn_if_unknown(_name(client, request))
        return await _metered(client, request, attempts)
    try:
        reply = await _charged(client, request, attempts, budgets)
    except BaseException as error:
        if watched is not None and not isinstance(error, BudgetError):
            watched.ended(attempts.sent, error=error)
        raise
    if watched is not None:
        watched.ended(attempts.sent, reply=reply)
    return reply


async def _charged(
    client: BaseModel,
    request: Request,
    attempts: Attempts,
    budgets: tuple[Budget, ...],
) -> Reply:
    """Reserve the worst case in every budget, and settle what it really was."""
    prices, name = client._prices, _name(client, request)
    if all(budget.usd is None for budget in budgets):
        prices.warn_if_unknown(name)
    if not budgets:
        return await _metered(client, request, attempts)
    worst = worst_case(
        request, name, prices=prices, default_output=client.default_max_tokens
    )
    usage = None
    async with Reservation(budgets, worst) as reservation:
        attempts.may_go_on = lambda spent: reservation.extend(amount_of(spent))
        try:
            reply = await _metered(client, request, attempts)
            usage = reply.usage
        finally:
            usage = usage or attempts.billed or Usage()
            reservation.actual = charge(
                worst, usage, sent=attempts.sent, lost=attempts.lost
            )
        return reply


async def _metered(client: BaseModel, request: Request, attempts: Attempts) -> Reply:
    """Count what the call cost, or that it failed."""
    name, started = _name(client, request), time.monotonic()
    count = client._meter.begin(role=request.role, model=name)
    usage: Usage | None = None
    try:
        reply = await _timely(client, request, attempts)
        reply = _priced(client, request, reply)
        if attempts.billed is not None:
            reply = replace(reply, usage=reply.usage + attempts.billed)
        usage = reply.usage
    except ModelError as error:
        error.model = error.model or name
        _log.debug("%s %s: %s", request.role, name, type(error).__name__)
        count.failed()
        raise
    finally:
        count.end(usage or attempts.billed)
    _log.debug(
        "%s %s: %d + %d tokens, $%.6f, %.3f s",
        request.role,
        name,
        usage.input_tokens,
        usage.output_tokens,
        usage.cost_usd,
        time.monotonic() - started,
    )
    return reply


def _priced(client: BaseModel, request: Request, reply: Reply) -> Reply:
    """Return ``reply`` with what it cost, estimated where nothing was reported."""
    usage = reply.usage
    if reply.cached:  # by a batch of an earlier run, and counted there
        return reply
    if not usage.total_tokens or not usage.is_plausible:
        usage = estimated_usage(request, reply)
    name = _name(client, request)
    cost = client._prices.cost(usage, name, batched=reply.batched) or _NOTHING
    if cost != usage.cost_usd:
        usage = usage.priced(cost)
    return reply if usage is reply.usage else replace(reply, usage=usage)


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
            f"the {request.role} call of {request.model!r} was not answered before its "
            "deadline, retries and waiting included.",
            model=request.model,
        )
        late.retryable = False
        raise late from error


async def _limited(client: BaseModel, request: Request, send: Send) -> Reply:
    """Try, and try again, each attempt in a slot of the endpoint's limiter."""
    if not is_batched(client, request):  # waiting for a batch takes no slot
        send = _slotted(client, request, send)
    return await with_retries(
        partial(send, request),
        client._retry,
        label=request.role,
        endpoint=client.endpoint,
    )


def _slotted(client: BaseModel, request: Request, send: Send) -> Send:
    limiter = client._limiter()
    if limiter is None:
        return send
    model = _name(client, request) or ""
    return partial(_in_slot, limiter, model, send)


def _load(request: Request) -> Load:
    """Return what a provider is likely to count against tokens per minute."""
    prompt = input_tokens(request) // _BYTES_PER_TOKEN
    return Load(prompt, max(0, output_tokens(request.args, 0)))


async def _in_slot(limiter: Limiter, model: str, send: Send, request: Request) -> Reply:
    load = _load(request) if limiter.counts_tokens(model) else NO_LOAD
    async with limiter.slot(load, model) as slot:
        reply = await send(request)
        slot.replied(reply.usage.output_tokens)
        return reply
