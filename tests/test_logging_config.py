"""Logging is opt-in, and touches nobody else's."""

from __future__ import annotations

import logging

import pytest

from afnio.logging_config import configure_logging, set_logger_level

AFNIO = logging.getLogger("afnio")


@pytest.fixture(autouse=True)
def _restored():
    """Put the logger back as it was."""
    before = (list(AFNIO.handlers), AFNIO.level, AFNIO.propagate)
    yield
    AFNIO.handlers[:], level, AFNIO.propagate = before
    AFNIO.setLevel(level)


def test_verbosity_must_be_text():
    """A number is a TypeError (L01)."""
    with pytest.raises(TypeError, match="int"):
        configure_logging(3)


@pytest.mark.parametrize(
    ("verbosity", "level"),
    [("zzz", logging.INFO), ("debug", logging.DEBUG), ("WARNING", logging.WARNING)],
)
def test_levels(verbosity, level):
    """Names in any case; unknown ones mean info (L02)."""
    configure_logging(verbosity)
    assert AFNIO.level == level


def test_the_root_logger_is_left_alone():
    """Only afnio's own logger gets a handler, and only a silent one at import (L03)."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    configure_logging()
    assert (list(root.handlers), root.level) == before


def test_lines(capsys):
    """Each record is shown once, on standard error, however often it is configured."""
    configure_logging("debug")
    configure_logging("info")
    logging.getLogger("afnio.trainer").info("hello")
    logging.getLogger("afnio.trainer").debug("hidden")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "[afnio] hello\n")
    configure_logging("debug")
    logging.getLogger("afnio.trainer").debug("details")
    assert "DEBUG afnio.trainer: details" in capsys.readouterr().err


def test_a_level_for_a_while():
    """It comes back, also after an error (L04)."""
    logger = logging.getLogger("afnio.models")
    before = logger.level
    seen = []

    def work():
        with set_logger_level("afnio.models", "error"):
            seen.append(logger.level)
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        work()
    assert seen == [logging.ERROR]
    assert logger.level == before
