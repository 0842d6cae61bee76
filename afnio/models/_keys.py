"""What makes two calls the same: the canonical document of a call, and its digest.

The document holds everything that can change the answer, and nothing secret: values of
headers, queries and ``extra_body`` stand in it as digests. Its own digest is the key of
the reply cache and of calls in flight.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import takewhile
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from afnio._text import shorten
from afnio.models._media import fingerprinted
from afnio.models._messages import Request

_UNSEEN: Final = frozenset({"timeout"})
"""Arguments that cannot change an answer."""

SECRETIVE: Final = frozenset({"extra_body", "extra_headers", "extra_query"})
"""Arguments that may hold credentials."""


class Key(NamedTuple):
    """A call's digest and the canonical JSON it was made from."""

    digest: str
    document: str


class _UnkeyableError(TypeError):
    """A value has no canonical form, so its call is never shared or cached."""


def request_key(identity: Mapping[str, Any], request: Request) -> Key | None:
    """Return the key of ``request``; None if an argument has no canonical form.

    Args:
        identity: What besides the request decides the answer: provider, endpoint, ….
        request: The call.
    """
    try:
        text = canonical(_document(identity, request))
    except (_UnkeyableError, ValueError):
        return None
    return Key(digest(text), text)


def _document(identity: Mapping[str, Any], request: Request) -> dict[str, Any]:
    return {
        "args": {k: _safe(k, v) for k, v in request.args.items() if k not in _UNSEEN},
        "client": identity,
        "kind": request.kind,
        "messages": fingerprinted(request.messages),
        "sample_index": request.sample_index,
    }


def digest(text: str) -> str:
    """Return the SHA-256 of ``text`` in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_values(values: Mapping[str, Any] | None) -> dict[str, str]:
    """Replace values by short digests: what may hold credentials keeps only names.

    Raises:
        TypeError: A value has no canonical form.
    """
    return {
        name: digest(value if isinstance(value, str) else canonical(value))[:16]
        for name, value in (values or {}).items()
    }


def canonical(value: Any) -> str:
    """Return the one JSON text of ``value``.

    Raises:
        TypeError: It holds something without a canonical form.
    """
    return _encoder.encode(value)


def _safe(name: str, value: Any) -> Any:
    if name in SECRETIVE and isinstance(value, Mapping):
        return digest_values(value)
    return value


def _plain(value: Any) -> Any:
    """Return JSON data that stands for ``value``."""
    for matches, convert in _CONVERSIONS:
        if matches(value):
            return convert(value)
    raise _UnkeyableError(f"{type(value).__name__} has no canonical form")


def _is_a(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


@lru_cache(maxsize=64)
def class_schema(model: Any) -> dict[str, Any]:
    """Return a pydantic class's JSON schema; it is slow to make, so it is kept."""
    schema: dict[str, Any] = model.model_json_schema()
    return schema


_CONVERSIONS: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...]] = (
    (_is_a(Mapping), dict),
    (lambda v: isinstance(v, type) and hasattr(v, "model_json_schema"), class_schema),
    (lambda v: hasattr(v, "model_dump"), lambda v: v.model_dump(mode="json")),
    (
        lambda v: dataclasses.is_dataclass(v) and not isinstance(v, type),
        dataclasses.asdict,
    ),
    (_is_a(Enum), lambda v: v.value),
    (_is_a(set, frozenset), lambda v: sorted(map(canonical, v))),
    (_is_a(Decimal, PurePath, date), str),
    (_is_a(bytes), lambda v: {"sha256": hashlib.sha256(v).hexdigest()}),
)
"""Which values besides JSON's own have a canonical form, and what it is."""

_encoder: Final = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain
)


def differences(asked: str, other: str) -> list[str]:
    """Name the fields in which two canonical documents differ, with both values."""
    left, right = leaves(json.loads(asked)), leaves(json.loads(other))
    return [
        f"{path}: {_show(left, path)} instead of {_show(right, path)}"
        for path in sorted(left.keys() | right.keys())
        if left.get(path) != right.get(path)
    ]


def nearest(asked: str, others: Iterable[str]) -> str | None:
    """Return the document that differs from ``asked`` least; None if there is none."""
    fields = leaves(json.loads(asked))
    return min(others, key=lambda other: _distance(fields, other), default=None)


def _distance(left: Mapping[str, Any], other: str) -> tuple[int, int]:
    """Return the number of differing fields, then how much of their text is alike."""
    right = leaves(json.loads(other))
    paths = [p for p in left.keys() | right.keys() if left.get(p) != right.get(p)]
    alike = sum(
        _common(str(left.get(path, "")), str(right.get(path, ""))) for path in paths
    )
    return len(paths), -alike


def _common(left: str, right: str) -> int:
    pairs = zip(left, right, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _show(fields: Mapping[str, Any], path: str) -> str:
    return shorten(repr(fields[path])) if path in fields else "nothing"


def leaves(value: Any) -> dict[str, Any]:
    """Return path → value of everything in JSON data that holds nothing itself."""
    return dict(_walk("", value))


def _walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _walk(f"{path}.{key}" if path else key, item)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _walk(f"{path}[{index}]", item)
    else:
        yield path, value
