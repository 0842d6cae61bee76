"""Errors of the official SDKs in our words, without keys."""

from __future__ import annotations

import email.utils
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import (
    ConnectionFailedError,
    ContextLengthError,
    ModelError,
    ModelTimeoutError,
    ServerError,
)
from afnio.models._retry import LASTING_STATUSES, error_for_status
from afnio.models._usage import Usage

_SECRETS: Final = re.compile(
    r"(?:sk|pk|rk|key)-[\w*.-]{6,}|Bearer\s+\S+|Basic\s+(?=\S*[\d=+/])\S{6,}",
    re.IGNORECASE,
)
_TOO_LONG: Final = re.compile(
    r"context_length_exceeded|maximum context length|prompt is too long|"
    r"exceeds? the available context size|context window",
    re.IGNORECASE,
)
TOO_LATE: Final = "{} did not answer in time; raise timeout=…, or try again later."
_SPENT: Final = re.compile(r"insufficient_quota|billing|credit balance", re.IGNORECASE)
"""Words of 429s that no waiting cures."""


def _http_libraries() -> list[ModuleType]:
    """Return the HTTP libraries that SDKs, old and new, stand on, if loaded."""
    return [m for n in ("httpx2", "httpx") if (m := sys.modules.get(n)) is not None]


def transport_errors() -> tuple[type[Exception], ...]:
    """Return what SDKs let through when a body breaks off."""
    return tuple(library.HTTPError for library in _http_libraries())


def response_type(sdk: Any) -> Any:
    """Return the class of responses of the HTTP library under ``sdk``."""
    return next(x.Response for x in _http_libraries() if x.Timeout is sdk.Timeout)


_SHORTEST_KEY: Final = 6
"""Shorter ones are stand-ins such as ``"none"``; removing them garbles messages."""


def clean(text: str, secrets: Iterable[str]) -> str:
    """Remove what looks like a key, and every one of ``secrets``."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_KEY:
            text = text.replace(secret, "***")
    return _SECRETS.sub("***", text)


def translated(
    sdk: Any, error: Exception, who: str, secrets: Iterable[str]
) -> ModelError:
    """Return our error for one of an SDK, without ``secrets`` in its words."""
    ours = _translated(sdk, error, who)
    ours.args = (clean(str(ours), secrets),)
    return ours


def _translated(sdk: Any, error: Exception, who: str) -> ModelError:
    if isinstance(error, sdk.APITimeoutError):
        return ModelTimeoutError(TOO_LATE.format(who))
    if isinstance(error, sdk.APIStatusError):
        return _status_error(error, who)
    cause = error.__cause__ or error
    hint = "the address and the network"
    distrusts = _is_distrust(cause)
    if distrusts:
        hint = "the address, and which authorities are trusted (SSL_CERT_FILE)"
    ours = ConnectionFailedError(
        f"{who} could not be reached: {type(cause).__name__}: {shorten(cause)}. Check "
        f"{hint}."
    )
    ours.retryable = not distrusts
    return ours


def _is_distrust(error: BaseException | None) -> bool:
    """Whether a certificate did not hold; it will not the next time."""
    from ssl import SSLCertVerificationError

    while error is not None:
        if isinstance(error, SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def malformed(who: str, what: str) -> ServerError:
    """Return the error for a reply that cannot be read; it is paid for all the same."""
    error = ServerError(f"{who} sent a malformed reply: {shorten(what, 160)}")
    error.usage = Usage()
    return error


def _status_error(error: Any, who: str) -> ModelError:
    status, headers = int(error.status_code), error.response.headers
    said = shorten(_message(error), 200)
    kind = error_for_status(status)
    if _TOO_LONG.search(f"{_message(error)} {getattr(error, 'code', '')}"):
        kind = ContextLengthError
    ours = kind(
        f"{who} answered with HTTP {status}: {said}",
        status=status,
        retry_after_s=retry_after_s(headers),
    )
    verdict = headers.get("x-should-retry")
    if verdict in ("true", "false"):
        ours.retryable = verdict == "true"
    if status in LASTING_STATUSES or _SPENT.search(f"{error.body}"):
        ours.retryable = False
    return ours


def _message(error: Any) -> str:
    """Find the provider's own words in an error body."""
    body = error.body
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        if isinstance(inner, Mapping) and inner.get("message"):
            return str(inner["message"])
    return str(body or error.message)


def retry_after_s(
    headers: Mapping[str, str], now: Callable[[], float] = time.time
) -> float | None:
    """Read how long to wait, in seconds, from headers; None if they do not say."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * scale)
        except ValueError:
            date = email.utils.parsedate_tz(value)
            if date is not None:
                return max(0.0, email.utils.mktime_tz(date) - now())
    return None
