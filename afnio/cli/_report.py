"""``report``: a run as a page, in the browser, or in short."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from afnio._terminal import printable
from afnio.cli._command import command, print_json, say
from afnio.cli._runs import LATEST, find_run


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(report)


def report(
    name: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's directory or name.")
    ] = LATEST,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The file; by default report.html in the run."
        ),
    ] = None,
    open_it: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Serve the page, and follow the run.")
    ] = False,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="N", help="For --live; 0 takes a free one."
        ),
    ] = 0,
    summary: Annotated[
        bool, typer.Option("--summary", help="Only print what the run brought.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON.")
    ] = False,
) -> None:
    """Write a run's report as a page.

    It is one HTML file that opens offline.

    Works on runs that are finished, still going on, or have crashed. RUN is a
    directory, a name, or 'latest'.

    Examples:
      afnio report --open
      afnio report runs/my-project/brave_otter_12 -o report.html
      afnio report --live --open
      afnio report --json
    """
    path = find_run(name)
    if summary or as_json:
        _summarize(path, as_json=as_json)
    elif live:
        _follow(path, port, open_it=open_it)
    else:
        _write(path, out, open_it=open_it)


def _summarize(path: Path, *, as_json: bool) -> None:
    from afnio.tracking.report import read_summary

    found = read_summary(path)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(printable(found))


def _follow(path: Path, port: int, *, open_it: bool) -> None:
    from afnio.tracking.report import serve

    with serve(path, port) as view:
        say(f"afnio: {view.url} follows {path}; Ctrl-C ends it.")
        if open_it:
            typer.launch(view.url)
        view.wait()


def _write(path: Path, out: Path | None, *, open_it: bool) -> None:
    from afnio.tracking.report import write_report

    written = write_report(path, out)
    typer.echo(str(written))
    if open_it:
        typer.launch(written.absolute().as_uri())
