"""Files: a ZIP archive around the JSON, or plain JSON; reading what nobody trusts."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from afnio._files import write_atomic
from afnio._state.format import FORMAT, MEMBER, VERSION
from afnio._state.text import read_json, write_json
from afnio._text import shorten
from afnio.errors import FileFormatError, InputTypeError, MissingFileError

_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Always the same, so that equal states give equal files."""

PLAIN_SUFFIX: Final = ".json"
"""How names of files end that are plain JSON."""

_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What `zipfile` raises on archives that are damaged, encrypted or not archives."""

File = str | os.PathLike[str] | IO[bytes]


class FileObjectError(InputTypeError, AttributeError):
    """Neither a path nor a binary file object."""


class NotAnArchiveError(FileFormatError, zipfile.BadZipFile):
    """The file is neither a ZIP archive nor JSON."""


@contextlib.contextmanager
def named(f: File) -> Iterator[None]:
    """Let what is wrong with a file begin with its path, where it has one."""
    try:
        yield
    except FileFormatError as error:
        if isinstance(f, (str, os.PathLike)):
            error.args = (f"{os.fspath(f)!s}: {error}",)
        raise


def is_plain(f: File) -> bool:
    """Whether a file is to be written as plain JSON: its name ends with ``.json``."""
    return isinstance(f, (str, os.PathLike)) and str(os.fspath(f)).casefold().endswith(
        PLAIN_SUFFIX
    )


def pack(document: dict[str, Any]) -> bytes:
    """Return an archive whose one member is ``document`` as readable JSON."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(MEMBER, date_time=_DATE)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        archive.writestr(info, write_json(document))
    return buffer.getvalue()


def unpack(payload: bytes, max_bytes: int) -> dict[str, Any]:
    """Return the document in a file of ours, its header checked.

    What begins with a brace is plain JSON, anything else must be an archive.

    Raises:
        FileFormatError: Not ours, newer than this program, damaged, or too large.
    """
    text, name = payload.removeprefix(codecs.BOM_UTF8).lstrip(), "it"
    if not text.startswith(b"{"):
        text, name = read_member(payload, MEMBER, max_bytes), MEMBER
    document = read_json(text, name)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FileFormatError(_foreign(document, name))
    _check_version(document)
    return document


def _foreign(document: Any, name: str) -> str:
    """Say what a file is that `save` has not written; afnio names its others."""
    kind = document.get("format") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind.startswith("afnio."):
        return (
            "the file is not one that afnio.save or a Trainer wrote: its format is "
            f"{shorten(kind)!r}. Pass a checkpoint, or a saved state."
        )
    return f"the file is not one of afnio's: {name} is foreign."


def _check_version(document: dict[str, Any]) -> None:
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FileFormatError(
            f"the file is damaged: format version {shorten(version)} is not a number "
            "from 1 on."
        )
    if version > VERSION:
        writer = shorten(document.get("afnio", "a newer version"))
        raise FileFormatError(
            f"the file has format version {version} (written by afnio {writer}) and "
            f"this afnio reads up to {VERSION}: upgrade afnio to load it."
        )


def read_member(payload: bytes, member: str, max_bytes: int) -> bytes:
    """Return one member of an archive, reading no more than ``max_bytes`` of it."""
    if not zipfile.is_zipfile(io.BytesIO(payload)):
        raise NotAnArchiveError(
            f"the file is neither a ZIP archive nor JSON: it begins with "
            f"{payload[:8]!r}. afnio.save writes these two; is it cut off, or another "
            "program's file?"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            info = _find(archive, member)
            with archive.open(info) as stream:
                content = stream.read(max_bytes + 1)
    except _DAMAGE as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"the archive is damaged: {shorten(error)}") from error
    if len(content) > max_bytes:
        raise _too_large(member, max_bytes)
    return content


def _find(archive: zipfile.ZipFile, member: str) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if info.filename == member]
    if not found:
        names = [info.filename for info in archive.infolist()]
        hint = (
            "; it holds a pickle: if it comes from the documented hosted system, read "
            "it with afnio.serialization.load_legacy"
            if any(name.endswith("data.pkl") for name in names)
            else ""
        )
        raise FileFormatError(
            f"the archive has no member {member!r}, only "
            f"{shorten(', '.join(names) or 'nothing')}{hint}."
        )
    if len(found) > 1:
        raise FileFormatError(f"the archive is damaged: it holds {member!r} twice.")
    if found[0].compress_type not in _COMPRESSIONS:
        raise FileFormatError(
            f"the archive is damaged: compression {found[0].compress_type} is not "
            "deflate."
        )
    return found[0]


def _too_large(what: str, max_bytes: int) -> FileFormatError:
    return FileFormatError(
        f"{what} is larger than {max_bytes} bytes; if you trust the file, pass a "
        "larger max_bytes."
    )


def write_file(f: File, payload: bytes) -> None:
    """Write to a path, atomically, or to a binary file object."""
    if isinstance(f, (str, os.PathLike)):
        write_atomic(f, payload)
        return
    write = _method(f, "write")
    rest = memoryview(payload)
    while rest:
        written = write(rest)
        rest = rest[written if isinstance(written, int) else len(rest) :]


def read_file(f: File, max_bytes: int) -> bytes:
    """Read a path, which is closed again, or a binary file object to its end."""
    if isinstance(f, (str, os.PathLike)):
        try:
            with Path(f).open("rb") as file:
                content = file.read(max_bytes + 1)
        except FileNotFoundError as error:
            raise MissingFileError(
                f"there is no file {os.fspath(f)}; looked for it from {Path.cwd()}."
            ) from error
    else:
        content = _method(f, "read")(max_bytes + 1)
    if not isinstance(content, bytes):
        raise FileObjectError(
            f"a binary file object is needed, and read() of this one returned "
            f"{type(content).__name__}; open the file with mode 'rb'."
        )
    if len(content) > max_bytes:
        raise _too_large("the file", max_bytes)
    return content


def _method(f: Any, name: str) -> Any:
    method = getattr(f, name, None)
    if not callable(method) or isinstance(f, io.TextIOBase):
        raise FileObjectError(
            f"expected a path or a binary file object with {name}(), got "
            f"{type(f).__name__} {shorten(f)}."
        )
    return method
