"""``plan``: what a script or an evaluation would cost."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from afnio.cli._command import command, print_json, say
from afnio.cli._eval import client_of, evaluated
from afnio.cli._eval_options import HowOptions
from afnio.cli._load import load_data
from afnio.cli._run import as_main, close_runs, execute
from afnio.cli._settings import ModelOptions
from afnio.errors import InputValueError

_STAND_INS: Final = (
    "afnio: only a plan. What the script prints before the table rests on stand-ins "
    "for replies: no score, file or run that it names is real."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, context_settings={"allow_interspersed_args": False})(plan)


def plan(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT|PROGRAM", help="SCRIPT.py, or FILE.py:NAME and its data."
        ),
    ],
    args: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGS|DATA]", help="What a script is given; a program's data."
        ),
    ] = None,
    *,
    how: HowOptions,
    models: ModelOptions,
    reply_tokens: Annotated[
        int, typer.Option(min=1, metavar="N", help="Tokens of a typical reply.")
    ] = 200,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else.")
    ] = False,
) -> None:
    """Count and price calls; send none.

    Options stand before SCRIPT. The script itself runs, with a stand-in for every
    reply: runs go to a temporary directory, but other files that it writes are written.
    AFNIO_PLAN=1 tells the script. A Trainer's checkpoints are temporary as well.

    Calls are exact as far as they do not depend on replies. Where an optimizer tries
    candidates they are an estimate; plans of runs that were measured had 0.86 to 3
    times the calls made. Tokens and costs are likely figures and upper bounds.

    Examples:
      afnio plan train.py --epochs 3
      afnio plan agent.py:agent test.jsonl
    """
    from afnio.models import plan as planning

    given = list(args or ())
    with models.applied(), planning(reply_tokens=reply_tokens) as found, _apart():
        if what.endswith(".py"):
            with as_main(Path(what), given):
                say(_STAND_INS)
                _run_script(Path(what))
        else:
            _run_program(what, given, how)
    if not as_json:
        typer.echo(str(found))
        return
    rows = [asdict(row) for row in found.rows]
    cost = None if found.cost_usd is None else asdict(found.cost_usd)
    print_json({"calls": found.calls, "cost_usd": cost, "rows": rows})


@contextmanager
def _apart() -> Iterator[None]:
    """Keep runs, and what programs print, apart from the result."""
    before = {name: os.environ.get(name) for name in ("AFNIO_RUNS", "AFNIO_PLAN")}
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        os.environ.update(AFNIO_RUNS=folder, AFNIO_PLAN="1")
        try:
            yield
        finally:
            close_runs()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _run_script(script: Path) -> None:
    try:
        execute(script)
    except typer.Exit as stop:
        if stop.exit_code:
            raise


def _run_program(spec: str, given: list[str], how: HowOptions) -> None:
    if len(given) != 1:
        raise InputValueError(
            f"plan {spec} needs its data: afnio plan {spec} DATA; got {len(given)} "
            "arguments. A script's name ends with .py."
        )
    samples = load_data(given[0], how.limit)
    result = evaluated(spec, samples, how, client_of(how.model))
    if result.mean is None and not result.total.calls:
        for message, _count in result.error_counts()[:1]:
            raise InputValueError(
                f"the program fails before it asks a model: {message}"
            )
