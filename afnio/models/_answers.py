"""What comes back from a server: JSON objects, streams of them, and their parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from afnio.models._faults import malformed

_DONE: Final = "[DONE]"
"""The last event of OpenAI's streams."""

TakeEvent: TypeAlias = Callable[[Mapping[str, Any]], None]


class Answer(NamedTuple):
    """The JSON object that a server answered with, and its request id."""

    data: dict[str, Any]
    request_id: str | None


def read_body(response: Any, who: str) -> Answer:
    """Read the JSON object that a server answered with.

    Raises:
        ServerError: It is none.
    """
    try:
        data = json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise malformed(
            who, f"the body is not JSON: {error}: {response.text!r}"
        ) from error
    if not isinstance(data, dict):
        raise malformed(who, f"expected a JSON object, got {response.text!r}")
    return Answer(data, request_id(response))


def request_id(response: Any) -> str | None:
    """Return what the provider calls this request."""
    headers = response.headers
    found = headers.get("x-request-id") or headers.get("request-id")
    return None if found is None else str(found)


def take_event(text: str, take: TakeEvent, who: str) -> None:
    """Hand one event of a stream to ``take``.

    Raises:
        ServerError: It cannot be read, or says that the stream broke off.
    """
    if text == _DONE:
        return
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise malformed(who, f"an event is not JSON: {error}: {text!r}") from error
    if isinstance(event, dict) and event.get("error"):
        raise malformed(who, f"the stream ended with an error: {event['error']}")
    try:
        take(event)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise malformed(who, f"an event has another form: {text}") from error


def read_text(value: Any, name: str, who: str) -> str | None:
    """Read a field that holds text, or nothing.

    Raises:
        ServerError: It holds something else.
    """
    found = read(value, name)
    if found is None or isinstance(found, str):
        return found
    raise malformed(
        who, f"expected text in {name!r}, got {type(found).__name__}: {found!r}"
    )


def read_list(value: Any, name: str, who: str) -> list[Any]:
    """Read a field that holds a list, or nothing.

    Raises:
        ServerError: It holds something else.
    """
    found = read(value, name)
    if found is None or isinstance(found, list):
        return found or []
    raise malformed(
        who, f"expected a list in {name!r}, got {type(found).__name__}: {found!r}"
    )


def read(value: Any, name: str) -> Any:
    """Read a field of a JSON object that may lack it, or be no object."""
    return value.get(name) if isinstance(value, Mapping) else None
