"""Documents as JSON text for people: small things on one line, equal bytes if equal."""

from __future__ import annotations

import json
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import FileFormatError

_WIDTH: Final = 88
_PLAIN: Final = (bool, int, float, type(None))
_dumps: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class Fragment(str):
    """JSON in its final form: written as it is, and read as what it says."""

    __slots__ = ()


def compact(value: Any) -> Fragment:
    """Return JSON data in one line, so that it need not be written again and again."""
    return Fragment(_dumps(value))


def write_json(document: dict[str, Any]) -> bytes:
    """Return ``document`` as readable JSON, in the order it is in.

    What fits in a line stays in one, and so do lists of numbers; the rest is indented.
    """
    return (_pretty(document, 0) + "\n").encode("utf-8", "surrogatepass")


def _pretty(value: Any, indent: int) -> str:
    if isinstance(value, dict):
        parts = [f"{_dumps(k)}: {_pretty(v, indent + 1)}" for k, v in value.items()]
        start, end = "{", "}"
    elif isinstance(value, list):
        if all(isinstance(item, _PLAIN) for item in value):
            return _dumps(value)
        parts = [_pretty(item, indent + 1) for item in value]
        start, end = "[", "]"
    else:
        return value if isinstance(value, Fragment) else _dumps(value)
    if _fits(parts, _WIDTH - indent):
        return f"{start}{', '.join(parts)}{end}"
    margin = " " * (indent + 1)
    inner = f",\n{margin}".join(parts)
    return f"{start}\n{margin}{inner}\n{' ' * indent}{end}"


def _fits(parts: list[str], room: int) -> bool:
    size = sum(map(len, parts)) + 2 * len(parts)
    return size <= room and not any("\n" in part for part in parts)


def read_json(text: bytes, name: str) -> Any:
    """Return what JSON text holds.

    Args:
        text: The text.
        name: What it is called in messages.

    Raises:
        FileFormatError: It is not JSON.
    """
    try:
        return json.loads(
            text.decode("utf-8", "surrogatepass"), parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"the file is damaged: {name} is not readable JSON: {shorten(error)}"
        ) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
