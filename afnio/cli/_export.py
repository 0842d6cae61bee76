"""``export``: prompts as files that need no afnio."""

from __future__ import annotations

import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from afnio.cli._command import command, say
from afnio.cli._runs import LATEST, find_state

_STANDARD_OUTPUT = "-"


class Format(StrEnum):
    """What the prompts are written as."""

    MARKDOWN = "markdown"
    JSON = "json"
    PYTHON = "python"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(export)


def export(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run, a checkpoint or a saved state dict."
        ),
    ] = LATEST,
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="The file to write; '-' prints it.")
    ] = _STANDARD_OUTPUT,
    *,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format", "-f", help="By default what the file's name says, or markdown."
        ),
    ] = None,
) -> None:
    """Write prompts as plain files.

    They can be used without afnio. Of a run, the best checkpoint is taken. Markdown is
    for people, json a list of chat messages, python a module with a function
    messages(**inputs).

    Examples:
      afnio export
      afnio export latest prompts.md
      afnio export checkpoints/best.json --format json
    """
    from afnio.exporting import export_program

    path, state = find_state(name)
    if out != _STANDARD_OUTPUT:
        written = export_program(state, out, None if form is None else form.value)
        say(f"afnio: {path} is exported to {written}")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts"
        export_program(state, file, (form or Format.MARKDOWN).value)
        typer.echo(file.read_text("utf-8"), nl=False)
