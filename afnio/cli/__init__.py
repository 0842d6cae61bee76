"""The command line: ``afnio --help``, or ``python -m afnio --help``."""

from afnio.cli._app import app, main
from afnio.cli._command import ExitCode

__all__ = ["ExitCode", "app", "main"]
