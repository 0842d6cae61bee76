"""``run`` and ``resume``: training scripts, with settings from outside."""

from __future__ import annotations

import itertools
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Final

import typer

from afnio._terminal import printable
from afnio._text import describe, shorten
from afnio.cli._command import ExitCode, command, error_words, say
from afnio.cli._runs import LATEST, find_run
from afnio.cli._settings import ModelOptions, raised
from afnio.errors import (
    BudgetError,
    FileFormatError,
    InputValueError,
    MissingFileError,
)

_BUDGET: Final = re.compile(r"\bBudget\((usd|calls)=…\)")
"""How the message of a budget names what options of the command line set."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    settings = {"allow_interspersed_args": False}
    command(app, context_settings=settings)(run)
    command(app)(resume)


def run(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A Python script.")],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGS", help="What the script is given."),
    ] = None,
    *,
    ctx: typer.Context,
    models: ModelOptions,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where runs are kept; by default AFNIO_RUNS, or runs."
        ),
    ] = None,
) -> None:
    """Run a script with limits and a cache.

    A training script gets its budget, cache and seed from outside.

    Options stand before the script; what follows it belongs to the script. Settings
    that the script makes itself come first. The exit code is the script's own if it
    calls sys.exit.

    Examples:
      afnio run train.py --epochs 3
      afnio run --budget-usd 5 --cache-path replies.sqlite train.py
      afnio run --cache replay --cache-path replies.sqlite train.py
    """
    if run_dir is not None:
        os.environ["AFNIO_RUNS"] = str(run_dir)
    _warn_of_misplaced(ctx, args or ())
    with models.applied(), as_main(script, args or ()):
        execute(script)


def _warn_of_misplaced(ctx: typer.Context, args: Sequence[str]) -> None:
    """Say which of the script's arguments would be options in front of the script."""
    own = {
        name for param in ctx.command.params for name in param.opts if name[0] == "-"
    }
    given = itertools.takewhile(lambda word: word != "--", args)
    words = [word for word in given if word.partition("=")[0] in own]
    if words:
        say(
            f"afnio: warning: {printable(', '.join(words))} comes after the script and "
            "is left to it; write what afnio is to obey in front of the script."
        )


@contextmanager
def as_main(script: Path, args: Sequence[str]) -> Iterator[None]:
    """Let ``sys`` look to the script as if Python had been started with it.

    Raises:
        MissingFileError: There is no such script.
    """
    if not script.is_file():
        raise MissingFileError(f"there is no script {shorten(script)}.")
    argv, path = sys.argv, list(sys.path)
    sys.argv = [str(script), *args]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path


def execute(script: Path) -> None:
    """Run a script to its end, and exit as it does if that is not the normal end."""
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            say(stop.code)
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        raise typer.Exit(code) from stop
    except KeyboardInterrupt as stop:
        close_runs(stop)
        raise
    except BudgetError as error:  # where it happened says nothing: a limit was reached
        close_runs(error)
        say(f"afnio: {type(error).__name__}: {_budget_words(error)}")
        say("afnio: go on with `afnio resume`, and --budget-usd or --budget-calls.")
        raise typer.Exit(ExitCode.FAILED) from error
    except Exception as error:
        # the hook marks open runs as crashed and shows the traceback
        trace = _own_frames(error.__traceback__, script)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        raise typer.Exit(ExitCode.FAILED) from error


def _budget_words(error: BudgetError) -> str:
    """Say it with the options of the command line, which set what holds here."""
    return _BUDGET.sub(
        r"--budget-\1 (or the Budget that the script sets)", error_words(error)
    )


def close_runs(error: BaseException | None = None) -> None:
    """Finish the runs that are open: CRASHED if there is an error."""
    from afnio.tracking.run_context import finish_all

    finish_all(error)


def _own_frames(trace: TracebackType | None, script: Path) -> TracebackType | None:
    """Leave out the frames that started the script."""
    own = trace
    while own is not None and own.tb_frame.f_code.co_filename != str(script):
        own = own.tb_next
    return own or trace


def resume(
    name: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's directory or name.")
    ] = LATEST,
    *,
    force: Annotated[
        bool, typer.Option(help="Also if the run says that it is complete.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Only show the command that would run.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Also if it was started elsewhere.")
    ] = False,
    budget_usd: Annotated[
        float | None,
        typer.Option(min=0, metavar="USD", help="A new limit for all of the run."),
    ] = None,
    budget_calls: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="A new limit for all of the run."),
    ] = None,
) -> None:
    """Continue a run that was stopped.

    It goes on from its last checkpoint, also after a crash.

    A run that `afnio run` has stopped at its budget goes on with a new limit, which
    counts what was spent before too.

    This starts the command again that is on record in the run, in the same directory.
    Training continues exactly where the last checkpoint was written.

    A run that another machine, user or Python has started, or that was somewhere else
    then, may hold any command: you are asked first, or have to say --yes. It is no
    proof: a run that somebody made to deceive you can claim anything.

    Examples:
      afnio resume
      afnio resume runs/my-project/brave_otter_12
      afnio resume --budget-calls 2000
    """
    from afnio.tracking import read_run

    path = find_run(name)
    data, _ = read_run(path)
    argv, folder = _command_of(path, data)
    if show:
        typer.echo(f"cd {shlex.quote(folder)} && {shlex.join(argv)}")
        return
    if data["status"] == "RUNNING":
        raise InputValueError(f"run {shorten(path)} is still running.")
    limits = raised(budget_usd, budget_calls)
    if limits and "run" not in argv:
        raise InputValueError(
            f"run {shorten(path)} was not started by `afnio run`, so its limits are "
            "the script's: raise them there."
        )
    if data["status"] == "COMPLETED" and not force and not limits:
        raise InputValueError(
            f"run {shorten(path)} is complete; --force continues it all the same."
        )
    shown = printable(f"cd {shlex.quote(folder)} && {shlex.join(argv)}")
    if not yes:
        _ask_about_origin(path, data["command"].get("origin"), shown)
    say(f"afnio: continuing {path}: {shown}")
    raise typer.Exit(_again(argv, folder, path, limits))


def _ask_about_origin(path: Path, claimed: Any, shown: str) -> None:
    """Let a person decide about a command that is not from here.

    Raises:
        InputValueError: Nobody is there to ask.
        Abort: The answer is no.
    """
    from afnio.tracking._manifest import origin

    here, said = origin(path), claimed if isinstance(claimed, Mapping) else {}
    other = [name for name, value in here.items() if said.get(name) != value]
    if not other:
        return
    facts = "; ".join(
        f"{name}: {shorten(said.get(name, 'unknown'))}, here {shorten(here[name])}"
        for name in other
    )
    say(f"afnio: run {path} was not started here ({printable(facts)}). It would run:")
    say(f"  {shown}")
    if not _is_attended():
        raise InputValueError("not continued; if you trust this command, add --yes.")
    typer.confirm("Run it?", abort=True, err=True)


def _is_attended() -> bool:
    return sys.stdin.isatty()


def _command_of(path: Path, data: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the command on record, with this Python, and its directory."""
    found = data.get("command")
    if not isinstance(found, Mapping) or found.get("interactive"):
        raise InputValueError(
            f"run {shorten(path)} was not started by a script; continue it where it "
            "was started, with fit(ckpt_path=…)."
        )
    if found.get("hidden"):
        raise InputValueError(
            f"the command of run {shorten(path)} held a key, which was not kept; start "
            f"it again with AFNIO_RESUME={shlex.quote(str(path.absolute()))}."
        )
    argv, folder = found.get("argv"), found.get("cwd")
    if (
        not isinstance(argv, list)
        or not argv
        or not all(isinstance(word, str) for word in argv)
    ):
        raise FileFormatError(f"{path} has no command: {describe(argv)}.")
    if not isinstance(folder, str) or not Path(folder).is_dir():
        raise MissingFileError(
            f"the directory that the run was started in is gone: {shorten(folder)}."
        )
    return [sys.executable, *argv[1:]], folder


def _again(
    argv: Sequence[str], folder: str, run: Path, limits: Mapping[str, str]
) -> int:
    """Run a command to its end; return what it exits with."""
    environment = {**os.environ, "AFNIO_RESUME": str(run.absolute()), **limits}
    with subprocess.Popen(argv, cwd=folder, env=environment) as process:  # noqa: S603 - the user's own command
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the child's
        try:
            code = process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code
