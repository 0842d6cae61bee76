"""Checksums and downloads: https only, atomic, nothing before it is asked for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from afnio._files import write_atomic
from afnio._text import shorten
from afnio.errors import AfnioError, FileFormatError, InputValueError, MissingFileError

if TYPE_CHECKING:
    from urllib.request import Request

__all__ = [
    "DatasetNotFoundError",
    "DownloadError",
    "calculate_md5",
    "calculate_sha256",
    "check_integrity",
    "check_md5",
    "data_root",
    "download",
    "download_url",
]

TIMEOUT_S: Final = 30.0
MAX_BYTES: Final = 256 * 2**20

PathLike = str | os.PathLike[str]


class DatasetNotFoundError(MissingFileError):
    """A data set's file is not there, and downloading it was not asked for."""


class DownloadError(AfnioError, OSError):
    """A file could not be downloaded; nothing was written."""


def data_root(root: PathLike | None = None) -> Path:
    """Return the folder of data sets.

    That is ``root`` if given, else ``$AFNIO_DATA``, else ``~/.cache/afnio/datasets``.
    """
    chosen = root or os.environ.get("AFNIO_DATA") or "~/.cache/afnio/datasets"
    return Path(chosen).expanduser()


def calculate_md5(fpath: PathLike, chunk_size: int = 2**20) -> str:
    """Return a file's md5, in hexadecimal; ``chunk_size`` is in bytes."""
    return _digest(fpath, hashlib.md5(usedforsecurity=False), chunk_size)


def calculate_sha256(fpath: PathLike, chunk_size: int = 2**20) -> str:
    """Return a file's sha256, in hexadecimal; ``chunk_size`` is in bytes."""
    return _digest(fpath, hashlib.sha256(), chunk_size)


def _digest(fpath: PathLike, digest: Any, chunk_size: int) -> str:
    with Path(fpath).open("rb") as file:
        while chunk := file.read(chunk_size):
            digest.update(chunk)
    return str(digest.hexdigest())


def check_md5(fpath: PathLike, md5: str) -> bool:
    """Whether a file has this md5."""
    return calculate_md5(fpath) == md5.lower()


def check_integrity(
    fpath: PathLike, md5: str | None = None, sha256: str | None = None
) -> bool:
    """Whether a file is there and has the checksums that are given."""
    return (
        Path(fpath).is_file()
        and (md5 is None or check_md5(fpath, md5))
        and (sha256 is None or calculate_sha256(fpath) == sha256.lower())
    )


def download(
    url: str,
    root: PathLike,
    filename: str | None = None,
    md5: str | None = None,
    sha256: str | None = None,
) -> Path:
    """Download a file unless it is there already, intact; see `download_url`."""
    target = _target(url, root, filename)
    if check_integrity(target, md5, sha256):
        return target
    return download_url(url, root, filename, md5, sha256)


def download_url(
    url: str,
    root: PathLike,
    filename: str | None = None,
    md5: str | None = None,
    sha256: str | None = None,
) -> Path:
    """Download a file and return its path.

    Args:
        url: Where from; https only, redirects included.
        root: The folder it goes to; made if need be.
        filename: Its name there, by default the last part of the URL.
        md5: The checksum that it must have.
        sha256: Another one.

    Raises:
        InputValueError: The URL is not https, or the name leaves the folder.
        DownloadError: It could not be fetched.
        FileFormatError: A checksum differs; nothing was written.
    """
    target = _target(url, root, filename)
    content = _fetch(url)
    for name, expected in (("md5", md5), ("sha256", sha256)):
        found = hashlib.new(name, content, usedforsecurity=False).hexdigest()
        if expected is not None and found != expected.lower():
            raise FileFormatError(
                f"{url}: the download has {name} {found}, expected {expected}; it was "
                "not kept. Has the file at that address changed?"
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, content)
    return target


def _target(url: str, root: PathLike, filename: str | None) -> Path:
    name = filename or Path(urlsplit(url).path).name
    if name in ("", ".", "..") or Path(name).name != name:
        raise InputValueError(f"{name!r} is not a plain file name; give filename=.")
    return Path(root).expanduser() / name


def _fetch(url: str) -> bytes:
    check_https(url)
    try:
        with _open(url) as response:
            content = response.read(MAX_BYTES + 1)
    except OSError as error:
        raise DownloadError(
            f"could not download {url}: {shorten(error)}. Check the connection, or put "
            "the file in place yourself."
        ) from error
    if len(content) > MAX_BYTES:
        raise DownloadError(f"{url} is larger than {MAX_BYTES} bytes; it was not kept.")
    return content


def check_https(url: str) -> None:
    """Refuse addresses that anybody between here and there could answer.

    Raises:
        InputValueError: The URL is not https.
    """
    if urlsplit(url).scheme != "https":
        raise InputValueError(
            f"only https downloads are allowed, got {shorten(url)!r}."
        )


def _open(url: str) -> IO[bytes]:
    """Open an https address, following redirects to https only."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class OnlyHttps(HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> Request | None:
            check_https(args[-1])
            return super().redirect_request(*args)

    stream: IO[bytes] = build_opener(OnlyHttps).open(url, timeout=TIMEOUT_S)
    return stream
