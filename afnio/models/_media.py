"""Images and documents as JSON data: read once, checked by content, named by digest."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError, MissingFileError

MAX_IMAGE_BYTES: Final = 20_000_000
MAX_DOCUMENT_BYTES: Final = 32_000_000

IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
DOCUMENTS: Final = ("application/pdf", "text/plain")

_STARTS: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
}
"""How files of each kind begin."""

_LONG: Final = 256
"""Characters of base64 from which a digest stands for it in keys."""


def load(
    source: Any,
    media_type: str | None,
    known: Sequence[str],
    what: str,
    limit: int,
) -> dict[str, Any]:
    """Return the ``source`` of an image or document block.

    Args:
        source: A path, a URL, a ``data:`` URL or bytes.
        media_type: Of the content; found out where None.
        known: Media types that are allowed.
        what: ``"image"`` or ``"document"``, for errors.
        limit: The most bytes allowed.

    Raises:
        InputTypeError: ``source`` is none of these.
        InputValueError: The content is of another kind, empty or too large.
        MissingFileError: There is no such file.
    """
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return {"type": "url", "url": source}
    data, told, name = _read(source, what, limit)
    if not data:
        raise InputValueError(f"{name} is empty; expected {_listed(known)}.")
    if len(data) > limit:
        raise InputValueError(
            f"{name} is larger than {limit:,} bytes, the limit for one {what}. Make it "
            "smaller, or pass an https:// URL."
        )
    kind = media_type or _kind(data) or told
    if kind is None and "text/plain" in known and _is_text(data):
        kind = "text/plain"
    if kind not in known:
        raise InputValueError(
            f"{name} is {kind or 'of an unknown kind'}; expected {_listed(known)} for "
            f"one {what}. Convert it first."
        )
    if kind == "text/plain":
        return {"type": "text", "media_type": kind, "data": _as_text(data, name)}
    encoded = base64.b64encode(data).decode("ascii")
    return {"type": "base64", "media_type": kind, "data": encoded}


def _read(source: Any, what: str, limit: int) -> tuple[bytes, str | None, str]:
    """Return the content, its media type if it says so, and a name for errors."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), None, f"the {what}"
    if isinstance(source, str) and source.startswith("data:"):
        kind, data = _decoded(source, what)
        return data, kind, f"the {what} in a data: URL"
    if not isinstance(source, (str, os.PathLike)):
        raise InputTypeError(
            f"source is {type(source).__name__}; expected a path, a URL or bytes."
        )
    path = Path(source)
    if not path.is_file():
        raise MissingFileError(f"there is no {what} file {shorten(source)}.")
    with path.open("rb") as file:
        return file.read(limit + 1), None, str(path)


def _decoded(url: str, what: str) -> tuple[str | None, bytes]:
    head, comma, text = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise InputValueError(
            f"the data: URL of the {what} is not base64: {shorten(url, 40)!r}."
        )
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InputValueError(
            f"the data: URL of the {what} is damaged: {error}."
        ) from error
    return head.removeprefix("data:").removesuffix(";base64") or None, data


def _kind(data: bytes) -> str | None:
    for start, kind in _STARTS.items():
        if data.startswith(start):
            return kind
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return "image/webp" if is_webp else None


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _as_text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputValueError(f"{name} is not UTF-8 text: {error}.") from error


def _listed(known: Sequence[str]) -> str:
    return " or ".join(known)


def data_url(source: Mapping[str, Any]) -> str:
    """Return the URL of an image or PDF: its own, or one that holds its content."""
    if source["type"] == "url":
        return str(source["url"])
    return f"data:{source['media_type']};base64,{source['data']}"


def from_url(url: str) -> dict[str, Any]:
    """Return the ``source`` of a URL, its content where it is a ``data:`` URL."""
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    head, _, data = url.partition(",")
    media_type = head.removeprefix("data:").removesuffix(";base64")
    return {"type": "base64", "media_type": media_type, "data": data}


def fingerprinted(messages: Sequence[Mapping[str, Any]]) -> Any:
    """Return ``messages`` with a digest in place of each image or file.

    Two conversations have the same fingerprint exactly when they are the same, and it
    stays small. Conversations of plain text are returned as they are.
    """
    if all(isinstance(message.get("content"), str) for message in messages):
        return messages
    return [_fingerprint(message) for message in messages]


def _fingerprint(value: Any) -> Any:
    if isinstance(value, list):
        return [_fingerprint(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _digest(item) if _is_media(key, item, value) else _fingerprint(item)
        for key, item in value.items()
    }


def _is_media(key: str, value: Any, holder: Mapping[str, Any]) -> bool:
    if not isinstance(value, str) or len(value) < _LONG:
        return False
    if key == "data":
        return holder.get("type") == "base64" or "format" in holder
    return key in ("url", "image_url", "file_data") and value.startswith("data:")


def _digest(text: str) -> dict[str, str]:
    import hashlib

    return {"sha256": hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()}
