"""Retries: what is tried again, how long the waits are, and when it ends."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio._dispatch import run_sync
from afnio.errors import (
    AuthError,
    BadRequestError,
    ConnectionFailedError,
    InputValueError,
    ModelTimeoutError,
    RateLimitError,
    ServerError,
)
from afnio.models import RetryPolicy
from afnio.models._retry import error_for_status, with_retries


class Flaky:
    """Fails with each error in turn, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.attempts = 0

    async def __call__(self):
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def run(flaky, **settings):
    """Run with recorded waits instead of real ones."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    policy = RetryPolicy(**{"sleep": sleep, "uniform": lambda: 1.0, **settings})
    return asyncio.run(with_retries(flaky, policy)), waits


def test_first_success_waits_for_nothing():
    """A call that succeeds is made once."""
    flaky = Flaky()
    assert run(flaky) == ("answer", [])
    assert flaky.attempts == 1


def test_waits_double_up_to_the_cap():
    """Without Retry-After the waits grow exponentially, up to the cap."""
    flaky = Flaky(*[ServerError("down") for _ in range(5)])
    assert run(flaky, max_retries=5, base_s=1, cap_s=6) == ("answer", [1, 2, 4, 6, 6])


def test_five_further_attempts_are_the_default():
    """Waits of half a second to eight seconds, then the error."""
    flaky = Flaky(*[ServerError("down") for _ in range(5)])
    assert run(flaky) == ("answer", [0.5, 1, 2, 4, 8])
    flaky = Flaky(*[ServerError("down") for _ in range(6)])
    with pytest.raises(ServerError):
        run(flaky)
    assert flaky.attempts == 6


def test_waiting_ends_in_all_before_it_goes_beyond_the_limit():
    """A wait that would exceed max_wait_s is not begun, whatever the server asks."""
    flaky = Flaky(*[RateLimitError("busy", retry_after_s=60) for _ in range(9)])
    with pytest.raises(RateLimitError):
        run(flaky, max_wait_s=130)
    assert flaky.attempts == 3  # two waits of a good minute fit, a third does not


def test_retry_after_is_obeyed():
    """The wait is never shorter than what the provider asked for."""
    _, waits = run(Flaky(RateLimitError("slow", retry_after_s=7)), base_s=1)
    assert waits == [pytest.approx(7.1)]


def test_absurd_retry_after_fails_at_once():
    """A Retry-After beyond the limit is not slept through."""
    flaky = Flaky(RateLimitError("slow", retry_after_s=4000))
    with pytest.raises(RateLimitError):
        run(flaky)
    assert flaky.attempts == 1


@pytest.mark.parametrize("error", [AuthError("no"), BadRequestError("no")])
def test_lasting_errors_are_not_tried_again(error):
    """What asking again cannot cure is raised at once."""
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        run(flaky)
    assert flaky.attempts == 1


def test_last_error_is_raised_with_a_note():
    """After the last attempt its error is raised, saying how often it was tried."""
    flaky = Flaky(*[ServerError(f"down {i}") for i in range(9)])
    with pytest.raises(ServerError, match="down 2") as caught:
        run(flaky, max_retries=2)
    assert flaky.attempts == 3
    assert caught.value.__notes__ == ["gave up after attempt 3"]


def test_throttled_calls_get_more_attempts():
    """Being told to slow down is no fault, so it is borne longer."""
    flaky = Flaky(*[RateLimitError("slow") for _ in range(4)])
    assert run(flaky, max_retries=1, throttle_retries=3)[0] == "answer"
    assert flaky.attempts == 5


def test_zero_retries_means_one_attempt_even_when_throttled():
    """max_retries=0 turns retrying off."""
    flaky = Flaky(RateLimitError("slow"))
    with pytest.raises(RateLimitError):
        run(flaky, max_retries=0)
    assert flaky.attempts == 1


@given(st.integers(1, 200), st.floats(0, 0.999))
def test_waits_stay_within_bounds(attempt, drawn):
    """Every wait is between half of its step and the cap."""
    policy = RetryPolicy(uniform=lambda: drawn)
    step = min(policy.cap_s, policy.base_s * 2.0 ** min(attempt - 1, 32))
    assert step / 2 <= policy.wait_s(attempt, None) <= policy.cap_s


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, BadRequestError, False),
        (401, AuthError, False),
        (404, BadRequestError, False),
        (408, ModelTimeoutError, True),
        (409, ServerError, True),
        (429, RateLimitError, True),
        (500, ServerError, True),
        (503, ServerError, True),
        (529, ServerError, True),
    ],
)
def test_statuses_map_to_errors(status, kind, retryable):
    """Each HTTP status is an error of ours that knows whether to try again."""
    assert error_for_status(status) is kind
    assert kind("x").retryable is retryable


def test_jitter_leaves_the_generator_of_the_program_alone():
    """Seeding a program does not fix the jitter, nor does jitter shift its draws."""
    random.seed(1)
    waits = {RetryPolicy().wait_s(1, None) for _ in range(4)}
    drawn = random.random()
    random.seed(1)
    assert random.random() == drawn
    assert len(waits) > 1


def test_impossible_settings_are_refused():
    """Negative retries and empty deadlines are refused."""
    with pytest.raises(InputValueError, match="max_retries is -1"):
        RetryPolicy(max_retries=-1)
    with pytest.raises(InputValueError, match="deadline"):
        RetryPolicy(deadline_s=0)


def test_who_cannot_be_reached_is_named_early():
    """One line before the waiting; none for other errors, or for a single failure."""
    policy = RetryPolicy(max_retries=2, base_s=0)

    def failing(error):
        async def attempt():
            raise error

        return attempt

    with (
        pytest.warns(
            RuntimeWarning, match="http://x could not be reached; trying"
        ) as w,
        pytest.raises(ConnectionFailedError),
    ):
        run_sync(
            with_retries(
                failing(ConnectionFailedError("no")), policy, endpoint="http://x"
            )
        )
    assert len(w) == 1
    with pytest.raises(ServerError):
        run_sync(with_retries(failing(ServerError("no")), policy))
    flaky = Flaky(ConnectionFailedError("no"))
    assert run_sync(with_retries(flaky, policy)) == "answer"
