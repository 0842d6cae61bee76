"""Requests written once: of all that an SDK puts into a request, only the body changes.

Headers, address and timeouts of a client's requests are the same each time, and an SDK
works out each of them anew: an eighth of all the time that a call takes. See
``docs/design/0007-transport.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

_SPECIAL: Final = (
    "content",
    "extra_json",
    "files",
    "follow_redirects",
    "headers",
    "params",
)
"""Options of a call that change its request."""

_encode: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode


_NEEDED: Final = ("_build_request", "_client", "auth_headers")
"""What an SDK's client must have, for its requests to be copied."""


def prepare(sdk: Any) -> None:
    """Let ``sdk``, a client of an official SDK, copy its requests where it can.

    Where the SDK is made otherwise than we know, it goes on as it would without us.
    """
    is_known = all(hasattr(sdk, name) for name in _NEEDED)
    if is_known and not getattr(sdk, "_idempotency_header", None):
        sdk._build_request = Templates(sdk, sdk._build_request)


class Templates:
    """Builds requests; those that differ in nothing but their bodies from one template.

    A template holds for one path as long as the client authenticates itself the same
    way. Every option of a single call makes the SDK build its request itself.

    Args:
        sdk: The SDK's client.
        build: Its own way to build a request.
    """

    def __init__(self, sdk: Any, build: Callable[..., Any]) -> None:
        self._sdk = sdk
        self._build = build
        self._made: dict[str, tuple[Mapping[str, str], Any]] = {}

    def __call__(self, options: Any, **more: Any) -> Any:
        """Return the request that ``options`` describe."""
        if not _is_plain(options) or any(more.values()):
            return self._build(options, **more)
        auth = dict(self._sdk.auth_headers)
        known = self._made.get(options.url)
        if known is not None and known[0] == auth:
            try:
                return self._copy(known[1], options.json_data)
            except TypeError:  # a value that only the SDK can write
                return self._build(options, **more)
        request = self._build(options, **more)
        self._made[options.url] = (auth, self._copy(request, {}))
        return request

    def _copy(self, request: Any, body: Mapping[str, Any]) -> Any:
        """Return ``request`` with another body."""
        content = _encode(body).encode()
        headers = request.headers.copy()
        headers["content-length"] = str(len(content))
        made = type(request)(
            request.method,
            request.url,
            headers=headers,
            cookies=self._sdk._client.cookies or None,
            stream=type(request.stream)(content),
            extensions=request.extensions,
        )
        made.read()  # as if the content had been given; it would be encoded once more
        return made


def _is_plain(options: Any) -> bool:
    """Whether nothing but the body is special about a call."""
    timeout = options.timeout
    return (
        options.method == "post"
        and isinstance(options.json_data, Mapping)
        and timeout is not None  # None means: wait for ever
        and not timeout
        and not any(getattr(options, name, None) for name in _SPECIAL)
    )
