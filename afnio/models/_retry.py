"""What to try again and for how long; the loop that obeys is tenacity's.

What is retryable is data: each error carries ``retryable`` (`afnio.errors`), and
`error_for_status` maps HTTP statuses to errors. The SDKs' own retries are off, so
nothing multiplies.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from afnio._warn import warn
from afnio.errors import (
    AuthError,
    BadRequestError,
    ConnectionFailedError,
    InputTypeError,
    ModelError,
    ModelTimeoutError,
    RateLimitError,
    ServerError,
)
from afnio.models._checks import check_number
from afnio.models._limits import LONGEST_PAUSE_S

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

T = TypeVar("T")
_log = logging.getLogger("afnio.models")

STATUS_ERRORS: Final[dict[int, type[ModelError]]] = {
    401: AuthError,
    403: AuthError,
    408: ModelTimeoutError,
    409: ServerError,  # a lock conflict inside the provider
    425: ServerError,
    429: RateLimitError,
}
"""Statuses with a class of their own; other 4xx are the caller's fault, 5xx theirs."""

LASTING_STATUSES: Final = frozenset({501, 505})
"""Server errors that asking again does not cure."""

THROTTLED_STATUSES: Final = frozenset({429, 503, 529})
"""The provider is overloaded or asks to slow down."""

_SERVER_ERROR: Final = 500

_NOTICEABLE_S: Final = 5.0
"""Waiting that a user wants explained: retries beyond it are logged as information."""

_TELLING_ATTEMPT: Final = 2
"""The failed attempt that a user hears of; a single failure is cured in a moment."""

_jitter: Final = random.SystemRandom().random
"""Apart from the generators that programs seed: neither shifts the other."""


def error_for_status(status: int) -> type[ModelError]:
    """Return the class of error that an HTTP status stands for."""
    fallback = ServerError if status >= _SERVER_ERROR else BadRequestError
    return STATUS_ERRORS.get(status, fallback)


def is_throttled(error: BaseException) -> bool:
    """Whether ``error`` says that the endpoint gets too much."""
    if isinstance(error, RateLimitError):
        return error.retryable
    return isinstance(error, ModelError) and error.status in THROTTLED_STATUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How one client tries again.

    Attributes:
        max_retries: Further attempts after the first; 0 turns retrying off. Where one
            attempt in ten fails, 5 lose one call in a million, 2 one in a thousand.
        throttle_retries: Attempts beyond those, granted to a throttled call.
        deadline_s: Seconds for one call, all attempts and waits included.
        base_s: Longest first wait, in seconds; doubles with every attempt.
        cap_s: Longest wait of our own choosing, in seconds.
        max_retry_after_s: Longest Retry-After obeyed; past it the call fails at once.
        max_wait_s: Seconds that one call waits between its attempts, all in all; a wait
            that would go beyond is not begun.
        sleep: Waits; injected by tests.
        uniform: Draws from [0, 1); injected by tests.

    Raises:
        InputTypeError: A setting is of another kind.
        InputValueError: A number is too small.
    """

    max_retries: int = 5
    throttle_retries: int = 6
    deadline_s: float | None = None
    base_s: float = 0.5
    cap_s: float = 30.0
    max_retry_after_s: float = LONGEST_PAUSE_S
    max_wait_s: float = 600.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[], float] = _jitter

    def __post_init__(self) -> None:
        check_number("max_retries", self.max_retries, whole=True)
        check_number("throttle_retries", self.throttle_retries, whole=True)
        for name in ("base_s", "cap_s", "max_retry_after_s", "max_wait_s"):
            check_number(name, getattr(self, name))
        if self.deadline_s is not None:
            check_number("deadline_s", self.deadline_s, above=True)
        for name in ("sleep", "uniform"):
            if not callable(getattr(self, name)):
                raise InputTypeError(
                    f"{name} is {type(getattr(self, name)).__name__}; expected a "
                    "function."
                )

    def wait_s(self, attempt: int, error: BaseException | None) -> float:
        """Return the seconds to wait after failed attempt number ``attempt`` (from 1).

        Half to all of an exponential step, at random; never less than Retry-After.
        """
        exponent = min(attempt - 1, 32)
        step: float = min(self.cap_s, self.base_s * 2.0**exponent)
        backoff = step * (0.5 + 0.5 * self.uniform())
        asked = getattr(error, "retry_after_s", None)
        return backoff if asked is None else asked + backoff * 0.1

    def gives_up(self, attempt: int, error: BaseException | None) -> bool:
        """Whether failed attempt number ``attempt`` (from 1) was the last one."""
        asked = getattr(error, "retry_after_s", None)
        if asked is not None and asked > self.max_retry_after_s:
            return True
        extra = self.throttle_retries if error and is_throttled(error) else 0
        return attempt > self.max_retries + (extra if self.max_retries else 0)


async def with_retries(
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    *,
    label: str = "call",
    endpoint: str | None = None,
) -> T:
    """Await ``attempt()``, again after retryable errors, as ``policy`` says.

    If the endpoint cannot be reached twice in a row, a warning says so: waiting in
    silence looks like a program that hangs.

    Raises:
        ModelError: The last error, with a note on how often it was tried.
    """
    try:
        return await attempt()
    except ModelError as error:
        if not error.retryable or not policy.max_retries:
            raise
        failed: list[ModelError] = [error]

    async def next_attempt() -> T:
        if failed:  # the first one, made above: most calls never need tenacity
            raise failed.pop()
        return await attempt()

    return await _retrying(policy, label, endpoint)(next_attempt)


def _retrying(policy: RetryPolicy, label: str, endpoint: str | None) -> AsyncRetrying:
    from tenacity import AsyncRetrying, retry_if_exception

    def error_of(state: RetryCallState) -> BaseException | None:
        return state.outcome.exception() if state.outcome else None

    def gives_up(state: RetryCallState) -> bool:
        error, attempt = error_of(state), state.attempt_number
        waited = state.idle_for + state.upcoming_sleep
        last = policy.gives_up(attempt, error) or waited > policy.max_wait_s
        if last and error is not None:
            error.add_note(f"gave up after attempt {attempt}")
        return last

    def tell(state: RetryCallState) -> None:
        unreachable = isinstance(error_of(state), ConnectionFailedError)
        if unreachable and state.attempt_number == _TELLING_ATTEMPT:
            warn(
                f"{endpoint or 'the model'} could not be reached; trying again "
                f"(max_retries={policy.max_retries})."
            )
        is_long = state.idle_for + state.upcoming_sleep >= _NOTICEABLE_S
        _log.log(
            logging.INFO if is_long else logging.DEBUG,
            "%s: attempt %d failed with %s; next in %.1f s",
            label,
            state.attempt_number,
            type(error_of(state)).__name__,
            state.upcoming_sleep,
        )

    return AsyncRetrying(
        sleep=policy.sleep,
        stop=gives_up,
        wait=lambda state: policy.wait_s(state.attempt_number, error_of(state)),
        retry=retry_if_exception(lambda e: getattr(e, "retryable", False) is True),
        before_sleep=tell,
        reraise=True,
    )
