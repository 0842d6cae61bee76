"""A live view: the report of a run on this machine, drawn anew while it goes on."""

from __future__ import annotations

import json
import logging
import os
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from afnio.errors import FileFormatError, InputTypeError, InputValueError
from afnio.tracking._reading import is_gone, read_document
from afnio.tracking.report._report import checked_path, page_of
from afnio.tracking.store import EVENTS_FILE

_HOST: Final = "127.0.0.1"
_MAX_PORT: Final = 65_535
_logger: Final = logging.getLogger(__name__)


def serve(run_dir: str | os.PathLike[str], port: int = 0) -> LiveView:
    """Show a run's report in the browser, following the run while it goes on.

    The page is served to this machine only, at ``view.url``, until ``view.close()`` or
    the end of a ``with`` block; a thread does the work. ``view.wait()`` blocks until
    Ctrl-C.

    Args:
        run_dir: The run's directory.
        port: Where to listen; 0 takes one that is free.

    Raises:
        InputTypeError: An argument is of the wrong kind.
        InputValueError: There is no such port, or it is taken.
        FileFormatError: ``run_dir`` is not a run.
    """
    directory = checked_path("run_dir", run_dir)
    if isinstance(port, bool) or not isinstance(port, int):
        raise InputTypeError(f"port must be an int, got {type(port).__name__}.")
    if not 0 <= port <= _MAX_PORT:
        raise InputValueError(f"port is {port}; expected 0 to {_MAX_PORT}.")
    read_document(directory)
    return LiveView(directory, port)


class LiveView:
    """A report that is being served; made with `serve`.

    Attributes:
        url: Where it is.
    """

    def __init__(self, directory: Path, port: int) -> None:
        try:
            self._server = _Server(directory, port)
        except OSError as error:
            raise InputValueError(
                f"port {port} cannot be used ({error.strerror}); pass another one, or "
                "0 for one that is free."
            ) from error
        self.url = f"http://{_HOST}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="afnio-live-view", daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        return f"LiveView({self.url!r})"

    def wait(self) -> None:
        """Block until the view is closed, or until Ctrl-C, which closes it."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.5)
        except KeyboardInterrupt:
            self.close()

    def close(self) -> None:
        """Stop serving; closing it again does nothing."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    """Draws the page when the run has changed, and keeps it until it changes again."""

    daemon_threads = True

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._drawn: tuple[Any, bytes] | None = None
        super().__init__((_HOST, port), _Handler)

    def state(self) -> dict[str, Any]:
        """Return how the run stands: its status, and something that grows with it."""
        run = read_document(self.directory)
        log = self.directory / EVENTS_FILE
        size = log.stat().st_size if log.exists() else 0
        status = str(run.get("status"))
        gone = status == "RUNNING" and is_gone(run)
        return {"status": "CRASHED" if gone else status, "size": size}

    def page(self) -> bytes:
        """Return the page as the run stands."""
        with self._lock:
            state = self.state()
            if self._drawn is None or self._drawn[0] != state:
                page = page_of(self.directory, live=json.dumps(state, sort_keys=True))
                self._drawn = (state, page.encode("utf-8", "replace"))
            return self._drawn[1]


class _Handler(BaseHTTPRequestHandler):
    """Answers two addresses, to requests that name this machine only."""

    server: _Server
    server_version = "afnio"
    sys_version = ""

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        if host not in (_HOST, "localhost"):  # a foreign page that calls itself here
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        path = urlsplit(self.path).path
        try:
            if path == "/":
                self._send(self.server.page(), "text/html; charset=utf-8")
            elif path == "/state":
                body = json.dumps(self.server.state(), sort_keys=True).encode()
                self._send(body, "application/json")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)
        except (FileFormatError, OSError) as error:
            _logger.warning("the live view could not read the run: %s", error)
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        _logger.debug(format, *args)
