"""Limits: concurrency that adapts, windows of a minute, pauses, and fairness."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.errors import InputValueError, RateLimitError, ServerError
from afnio.models import Limits
from afnio.models._limits import Limiter, Window, limiter_for


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
        await one.acquire(0)  # would wait for ever on this clock

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
        await one.acquire(0)
        waiting = asyncio.ensure_future(one.acquire(0))
        await settle()
        waiting.cancel()
        await settle()
        one.release()
        await one.acquire(0)
        assert one.active == 1

    asyncio.run(go())


def test_caller_cancelled_just_as_it_is_admitted_gives_the_slot_back():
    """Admission and cancellation at the same moment leak no slot."""

    async def go():
        one = limiter(Time(), concurrency=1)
        await one.acquire(0)
        waiting = asyncio.ensure_future(one.acquire(0))
        await settle()
        one.release()
        waiting.cancel()
        await settle()
        assert one.active == 0

    asyncio.run(go())


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=60),
    st.integers(1, 10),
    st.integers(50, 200),
)
def test_no_minute_exceeds_the_limits(calls, requests, tokens):
    """Whatever arrives when, every 60 seconds hold at most the limits."""
    limits = Limits(requests_per_minute=requests, tokens_per_minute=tokens)
    window, now, started = Window(), 0.0, []
    for gap, size in calls:
        now += gap
        while (delay := window.delay_s(now, size, limits)) > 0:
            now += delay
        window.add(now, size)
        started.append((now, size))
    for end, _ in started:
        inside = [size for at, size in started if end - 60.0 < at - 1e-6 and at <= end]
        assert len(inside) <= requests
        assert sum(inside) <= tokens


def test_oversized_call_starts_alone():
    """A call larger than the token limit waits for an empty window, then starts."""
    window, limits = Window(), Limits(tokens_per_minute=100)
    assert window.delay_s(0.0, 500, limits) == 0
    window.add(0.0, 10)
    assert window.delay_s(1.0, 500, limits) == pytest.approx(59.0)


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
