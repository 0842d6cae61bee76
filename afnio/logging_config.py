"""Opt-in logging: afnio logs to the logger ``afnio`` and configures nothing itself."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from afnio.errors import InputTypeError

__all__ = ["configure_logging", "set_logger_level"]

_LOGGER: Final = logging.getLogger("afnio")
_LOGGER.addHandler(logging.NullHandler())

_PLAIN: Final = "[afnio] %(message)s"
_DEBUG: Final = "%(asctime)s [afnio] %(levelname)s %(name)s: %(message)s"


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever ``sys.stderr`` is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """The current standard error."""
        return sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        """Ignore what the base class sets."""


def configure_logging(verbosity: str = "info") -> None:
    """Show afnio's log on standard error; other loggers stay as they are.

    Calling it again replaces what it did before.

    Args:
        verbosity: ``debug``, ``info``, ``warning``, ``error`` or ``critical``, in any
            case; anything else means ``info``.

    Raises:
        InputTypeError: ``verbosity`` is not text.
    """
    if not isinstance(verbosity, str):
        raise InputTypeError(f"verbosity is {type(verbosity).__name__}; expected text.")
    level = logging.getLevelNamesMapping().get(verbosity.upper(), logging.INFO)
    for handler in list(_LOGGER.handlers):
        if isinstance(handler, _StderrHandler):
            _LOGGER.removeHandler(handler)
    shown = _StderrHandler()
    shown.setFormatter(logging.Formatter(_DEBUG if level <= logging.DEBUG else _PLAIN))
    _LOGGER.addHandler(shown)
    _LOGGER.setLevel(level)
    _LOGGER.propagate = False  # or a configured root logger would show every line twice


@contextmanager
def set_logger_level(name: str, level: int | str) -> Iterator[None]:
    """Give the logger ``name`` another level inside the block.

    Args:
        name: The logger, such as ``"afnio.models"``.
        level: A number or a name, in any case.
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level.upper() if isinstance(level, str) else level)
    try:
        yield
    finally:
        logger.setLevel(before)
