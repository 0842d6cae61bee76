"""Checksums and downloads. No test here goes to the network.

Downloads are tested by putting a fake in the place of the private ``_open``, the one
function that opens a connection.
"""

import hashlib
import io
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler

import pytest

from afnio.errors import FileFormatError, InputValueError
from afnio.utils.datasets import utils
from afnio.utils.datasets.utils import (
    DownloadError,
    calculate_md5,
    check_integrity,
    check_md5,
    data_root,
    download,
    download_url,
)

CONTENT = b"some data"
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "https://data.example/folder/file.json"


@pytest.fixture
def opened(monkeypatch):
    """Answer every address with the content, and list what was asked for."""
    asked = []

    def fake(url):
        asked.append(url)
        return io.BytesIO(CONTENT)

    monkeypatch.setattr(utils, "_open", fake)
    return asked


def test_checksums(tmp_path):
    """The documented helpers agree with hashlib, whatever the chunk size."""
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    assert calculate_md5(path, chunk_size=2) == calculate_md5(str(path)) == MD5
    assert check_md5(path, MD5.upper())
    assert not check_md5(path, "0" * 32)
    assert check_integrity(path)
    assert check_integrity(path, MD5, SHA256)
    assert not check_integrity(path, MD5, "0" * 64)
    assert not check_integrity(tmp_path / "missing", MD5)


def test_download_writes_once(tmp_path, opened):
    """An intact file is not fetched again; a damaged one is."""
    path = download(URL, tmp_path / "new", md5=MD5, sha256=SHA256)
    assert path == tmp_path / "new" / "file.json"
    assert path.read_bytes() == CONTENT
    download(URL, tmp_path / "new", md5=MD5)
    assert opened == [URL]
    path.write_bytes(b"damaged")
    download(URL, tmp_path / "new", md5=MD5)
    assert opened == [URL, URL]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("checksum", [{"md5": "0" * 32}, {"sha256": "0" * 64}])
def test_wrong_checksums_leave_nothing(tmp_path, opened, checksum):
    """A download that is not what was asked for is not kept."""
    with pytest.raises(FileFormatError, match=f"has {next(iter(checksum))}"):
        download_url(URL, tmp_path, "other.json", **checksum)
    assert opened
    assert not list(tmp_path.iterdir())


def test_failures_say_what_to_do(tmp_path, monkeypatch):
    """Without a connection the error names the address, and is an OSError."""

    def fail(url):
        raise URLError("no route")

    monkeypatch.setattr(utils, "_open", fail)
    with pytest.raises(
        DownloadError, match=r"data\.example.*no route.*yourself"
    ) as caught:
        download_url(URL, tmp_path)
    assert isinstance(caught.value, OSError)


def test_too_large_downloads_are_refused(tmp_path, opened, monkeypatch):
    """Reading stops at the limit."""
    monkeypatch.setattr(utils, "MAX_BYTES", 3)
    with pytest.raises(DownloadError, match="larger than 3 bytes"):
        download_url(URL, tmp_path)


@pytest.mark.parametrize(
    "url", ["http://data.example/f", "file:///etc/passwd", "ftp://x/f"]
)
def test_only_https(tmp_path, opened, url):
    """Nothing else is opened, and there is no fall back."""
    with pytest.raises(InputValueError, match="only https"):
        download_url(url, tmp_path)
    assert not opened


def test_redirects_stay_on_https(monkeypatch):
    """A redirect to http is refused like the address itself."""
    handlers = []

    class Opener:
        def open(self, url, timeout):
            return handlers[0]().redirect_request(None, None, 302, "", {}, "http://x/f")

    def build(handler):
        handlers.append(handler)
        return Opener()

    monkeypatch.setattr("urllib.request.build_opener", build)
    with pytest.raises(InputValueError, match="only https"):
        utils._open(URL)
    assert issubclass(handlers[0], HTTPRedirectHandler)


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "."])
def test_names_stay_in_the_folder(tmp_path, opened, name):
    """A file name cannot climb out."""
    with pytest.raises(InputValueError, match="plain file name"):
        download(URL, tmp_path, name)
    with pytest.raises(InputValueError, match="plain file name"):
        download("https://data.example/", tmp_path)
    assert not opened


def test_the_folder_of_data_sets(monkeypatch, tmp_path):
    """An argument wins over ``AFNIO_DATA``, which wins over the cache folder."""
    monkeypatch.setenv("AFNIO_DATA", str(tmp_path))
    assert data_root() == tmp_path
    assert data_root("~/x") == Path.home() / "x"
    monkeypatch.delenv("AFNIO_DATA")
    assert data_root().parts[-3:] == (".cache", "afnio", "datasets")
