"""The application: all commands in one."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from afnio._version import __version__
from afnio.cli._cache import app as cache_app
from afnio.cli._command import EXIT_CODES
from afnio.cli._diff import register as add_diff
from afnio.cli._eval import register as add_eval
from afnio.cli._export import register as add_export
from afnio.cli._models import register as add_models
from afnio.cli._plan import register as add_plan
from afnio.cli._report import register as add_report
from afnio.cli._run import register as add_run

app = typer.Typer(
    name="afnio",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)
"""All commands: a Typer application, for its test runner or as a part of yours."""


@app.callback()
def _afnio(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda value: _show_version(asked=value),
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Run, evaluate and inspect programs made of language-model calls."""


def _show_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"afnio {__version__}")
        raise typer.Exit


for add in (add_run, add_eval, add_report, add_diff, add_export, add_plan, add_models):
    add(app)
app.add_typer(cache_app, name="cache")


def main() -> None:
    """Run the command line and exit.

    What the terminal's encoding lacks is shown escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
