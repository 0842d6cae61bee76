"""Limits: concurrency that adapts, windows of a minute, pauses, and fairness."""

import asyncio

import pytest

from afnio.errors import InputValueError, RateLimitError, ServerError
from afnio.models import Limits
from afnio.models._limits import Limiter, limiter_for
from afnio.models._quota_headers import News


class Time:
    """A clock that stands still, and timers that go off when told."""

    def __init__(self):
        self.now = 1000.0
        self.timers = []

    def clock(self):
        return self.now

    def later(self, delay, callback):
        self.timers.append((self.now + delay, callback))

    def advance(self, seconds):
        self.now += seconds
        due = [t for t in self.timers if t[0] <= self.now]
        self.timers = [t for t in self.timers if t[0] > self.now]
        for _, callback in due:
            callback()


def limiter(time, **limits):
    """Build a limiter that runs on a fake clock."""
    return Limiter(Limits(**limits), clock=time.clock, later=time.later)


async def enter(one, model=""):
    """Take a slot; return it."""
    return await one.slot(model=model).__aenter__()


async def leave(slot):
    """Give a slot back after a success."""
    await slot.__aexit__(None, None, None)


async def settle():
    """Let all other tasks go on as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_concurrency_is_never_exceeded():
    """Of ten calls at most three run at once, and all start in the order asked."""
    time, peak, started = Time(), [0], []

    async def go():
        one = limiter(time, concurrency=3)

        async def call(number):
            async with one.slot():
                started.append(number)
                peak[0] = max(peak[0], one.active)
                for _ in range(number % 3):
                    await asyncio.sleep(0)

        await asyncio.gather(*(call(number) for number in range(10)))

    asyncio.run(go())
    assert peak == [3]
    assert started == list(range(10))


def test_refusals_in_a_row_halve_and_success_raises():
    """The third 429 in a row halves, once per round; successes add one per round."""
    one = limiter(Time(), concurrency=8)
    for allowed in (8, 8, 4):
        one.overloaded(started=0.0, retry_after_s=None)
        assert one.allowed == allowed
    one.overloaded(started=0.0, retry_after_s=None)  # ran together with the first
    assert one.allowed == 4
    for _ in range(12):
        one.succeeded()
    assert one.allowed == 6


def test_slot_tells_the_limiter_how_the_call_went():
    """Throttling errors lower the limit, other errors do not, success raises it."""

    async def fail(one, error):
        with pytest.raises(type(error)):
            async with one.slot():
                raise error

    async def go():
        one = limiter(Time(), concurrency=8)
        for error in (ServerError("broken", status=500), ValueError("bug")) * 3:
            await fail(one, error)
        assert one.allowed == 8
        for _ in range(3):
            await fail(one, RateLimitError("slow", status=429))
        assert one.allowed == 4
        assert one.active == 0

    asyncio.run(go())


def test_lone_refusals_slow_nobody_else_down():
    """A 429 now and then, between successes, neither pauses nor halves."""

    async def go():
        one = limiter(Time(), concurrency=8)
        for _ in range(9):
            one.overloaded(started=0.0, retry_after_s=60.0)
            one.succeeded()
        await enter(one)  # would wait for ever on this clock

    asyncio.run(go())


def test_a_wait_that_nobody_would_sit_out_holds_nobody_up():
    """A Retry-After of hours fails the refused calls, and does not silence the rest."""
    time, started = Time(), []

    async def go():
        one = limiter(time)
        for _ in range(3):
            one.overloaded(started=0.0, retry_after_s=9999.0)
        async with one.slot():
            started.append(time.now)

    asyncio.run(go())
    assert started == [time.now]


def test_refusals_in_a_row_pause_the_whole_endpoint():
    """With their Retry-After nobody starts before it has passed."""
    time, started = Time(), []

    async def go():
        one = limiter(time)
        for _ in range(3):
            one.overloaded(started=0.0, retry_after_s=5.0)

        async def call():
            async with one.slot():
                started.append(time.now)

        waiting = asyncio.ensure_future(call())
        await settle()
        time.advance(4.9)
        await settle()
        assert started == []
        time.advance(0.2)
        await waiting

    asyncio.run(go())
    assert started == [1005.1]


def test_cancelled_waiter_frees_its_place():
    """A caller cancelled while waiting takes no slot with it."""

    async def go():
        one = limiter(Time(), concurrency=1)
        first = await enter(one)
        waiting = asyncio.ensure_future(enter(one))
        await settle()
        waiting.cancel()
        await settle()
        await leave(first)
        await enter(one)
        assert one.active == 1

    asyncio.run(go())


def test_caller_cancelled_just_as_it_is_admitted_gives_the_slot_back():
    """Admission and cancellation at the same moment leak no slot."""

    async def go():
        one = limiter(Time(), concurrency=1)
        first = await enter(one)
        waiting = asyncio.ensure_future(enter(one))
        await settle()
        await leave(first)
        waiting.cancel()
        await settle()
        assert one.active == 0

    asyncio.run(go())


def test_clients_of_one_endpoint_share_the_strictest_limits():
    """Two clients of one address have one limiter, with the lower limits."""

    async def go():
        one = limiter_for("http://somewhere", Limits(concurrency=9))
        two = limiter_for(
            "http://somewhere", Limits(concurrency=5, requests_per_minute=7)
        )
        assert one is two
        assert one.allowed == 5
        assert limiter_for("http://elsewhere", Limits()) is not one

    asyncio.run(go())


def test_zero_limit_is_refused():
    """A limit of nothing would wait for ever."""
    with pytest.raises(InputValueError, match="tokens_per_minute is 0"):
        Limits(tokens_per_minute=0)


def left(remaining, reset_s, limit=10):
    """Build what a provider announces of its requests."""
    return {"requests": News(limit, remaining, reset_s)}


def test_calls_wait_when_nothing_is_left_and_other_models_pass_them():
    """The announced reset starts them again; it holds for one model only."""
    time, started = Time(), []

    async def go():
        one = limiter(time)
        slot = await enter(one, "big")
        one.hear("big", left(0, 5.0), time.now)
        await leave(slot)

        async def call(model):
            async with one.slot(model=model):
                started.append((model, time.now))

        calls = [asyncio.ensure_future(call(m)) for m in ("big", "small", "big")]
        await settle()
        assert started == [("small", 1000.0)]
        time.advance(5.0)
        await asyncio.gather(*calls)

    asyncio.run(go())
    assert started[1:] == [("big", 1005.0)] * 2


def test_nearer_reset_is_not_slept_through():
    """A timer for a far reset does not hide a near one, of another model."""
    time, started = Time(), []

    async def go():
        one = limiter(time)
        for model, reset_s in (("far", 60.0), ("near", 1.0)):
            slot = await enter(one, model)
            one.hear(model, left(0, reset_s), time.now)
            await leave(slot)

        async def call(model):
            async with one.slot(model=model):
                started.append(model)

        far = asyncio.ensure_future(call("far"))
        near = asyncio.ensure_future(call("near"))
        await settle()
        time.advance(1.0)
        await near
        assert started == ["near"]
        time.advance(59.0)
        await far

    asyncio.run(go())


def test_cancelled_call_that_waited_for_a_reset_is_forgotten():
    """Who gives up while waiting takes nothing of what comes back."""
    time = Time()

    async def go():
        one = limiter(time)
        slot = await enter(one)
        one.hear("", left(0, 5.0, limit=1), time.now)
        await leave(slot)
        gone, stays = (asyncio.ensure_future(enter(one)) for _ in range(2))
        await settle()
        gone.cancel()
        time.advance(5.0)
        await stays
        assert one.active == 1

    asyncio.run(go())
