"""``eval``: scores, comparisons and thresholds, for people and for CI."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afnio._terminal import printable
from afnio._text import shorten
from afnio.cli._command import ExitCode, command, print_json, say
from afnio.cli._eval_options import HowOptions, MustOptions, ShowOptions
from afnio.cli._load import load_data, load_object, load_program
from afnio.cli._settings import ModelOptions
from afnio.errors import InputTypeError

if TYPE_CHECKING:
    from afnio.evaluation import Check, Comparison, Evaluation, SampleResult

_PASSED = {True: "pass", False: "FAIL"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "eval")(evaluate)


def evaluate(
    program: Annotated[
        str,
        typer.Argument(
            metavar="PROGRAM",
            help="FILE.py:NAME or package.module:NAME of a Module, of a class or "
            "function that makes one, or of a function. NAME is 'program' by default.",
        ),
    ],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="A .jsonl, .json or .csv file, or FILE.py:NAME."
        ),
    ],
    *,
    how: HowOptions,
    must: MustOptions,
    models: ModelOptions,
    show: ShowOptions,
) -> None:
    """Score a program on data.

    The command fails if the program is worse than it must be.

    A sample whose program or evaluator fails has an error, never a score of 0.

    Examples:
      afnio eval agent.py:agent test.jsonl --target answer
      afnio eval agent.py:agent test.jsonl --state runs/demo/brave_otter_1 -o new.json
      afnio eval agent.py:agent test.jsonl --baseline main.json --max-regression 0.02
      afnio eval new.py:agent test.csv --against old.py:agent --junit report.xml

    Exit codes:
      0  all thresholds are met
      1  the score is too low, or has fallen
      2  the program, the data or an option cannot be used
      3  more samples failed than --max-errors allows
    """
    from afnio._files import write_atomic
    from afnio.evaluation import Evaluation, junit_xml

    if must.baseline is not None and must.against is not None:
        raise typer.BadParameter("--baseline and --against exclude each other.")
    show.prepare(program, data, how.state, must.against)
    with models.applied(), _quiet(when=show.as_json):
        before = None if must.baseline is None else Evaluation.load(must.baseline)
        samples = load_data(data, how.limit)
        client = client_of(how.model)
        if must.against is not None:
            before = evaluated(must.against, samples, how, client, use_state=False)
        after = evaluated(program, samples, how, client)
    if show.out is not None:
        after.save(show.out)
    checks = must.thresholds().check(after, before)
    change = None if before is None else _compared(before, after)
    if show.junit is not None:
        write_atomic(show.junit, junit_xml(after, checks).encode())
    if show.as_json:
        print_json(_document(after, change, checks))
    else:
        for line in _lines(after, change, checks, show.show):
            typer.echo(line)
    raise typer.Exit(_code(checks))


@contextmanager
def _quiet(*, when: bool) -> Iterator[None]:
    """Keep what programs print out of the way of JSON."""
    if not when:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def client_of(path: str | None) -> Callable[[], Any] | None:
    """Return what makes the model that a path names, once, if there is one."""
    from afnio.models import get_model

    return None if path is None else cache(lambda: get_model(path))


def evaluated(
    spec: str,
    samples: list[Any],
    how: HowOptions,
    client: Any,
    *,
    use_state: bool = True,
) -> Evaluation:
    """Evaluate what the command line names."""
    from afnio import evaluation

    program, arguments = load_program(spec, client)
    name = spec
    if how.state is not None and use_state:
        name = f"{spec} with {_load_state(program, spec, how.state)}"
    evaluator: Any = how.evaluator
    if evaluator is not None and ":" in evaluator:
        evaluator = load_object(evaluator)
        evaluator = evaluator() if isinstance(evaluator, type) else evaluator
    with _progress(spec, len(samples)) as on_sample:
        return evaluation.evaluate(
            program,
            samples,
            evaluator,
            target=how.target or None,
            fields=how.input or None,
            arguments=arguments,
            concurrency=how.concurrency,
            name=name,
            on_sample=on_sample,
        )


def _load_state(program: Any, spec: str, name: str) -> Path:
    """Load a state; return its file, since what a name means may change."""
    from afnio.cli._runs import find_state
    from afnio.cognitive import Module

    if not isinstance(program, Module):
        raise InputTypeError(
            f"--state: {spec} is {type(program).__name__}; only a Module has a state."
        )
    path, state = find_state(name)
    program.load_state_dict(state)
    if str(path) != name:
        say(f"afnio: --state {shorten(name)} is {path}")
    return path


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[SampleResult], object]]:
    """Show a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    off = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as bar:
        from rich.markup import escape

        task = bar.add_task(escape(title), total=total)
        yield lambda _sample: bar.advance(task)


def _compared(before: Evaluation, after: Evaluation) -> Comparison | None:
    """Compare, unless everything has failed: then the errors say more."""
    return after.compare(before) if after.scores else None


def _document(
    after: Evaluation, change: Comparison | None, checks: list[Check]
) -> dict[str, Any]:
    return {
        "passed": all(check.passed for check in checks),
        "checks": [check._asdict() for check in checks],
        "evaluation": after.to_dict(),
        "comparison": None if change is None else change.to_dict(),
    }


def _lines(
    after: Evaluation, change: Comparison | None, checks: list[Check], limit: int
) -> Iterator[str]:
    from afnio.evaluation._words import changed_lines, lowest_lines

    yield str(after)
    if change is None:
        yield from lowest_lines(after, limit)
    else:
        yield str(change)
        yield from changed_lines(change, limit)
    for check in checks:
        yield f"{_PASSED[check.passed]}  {printable(check.message)}"


def _code(checks: list[Check]) -> ExitCode:
    missed = {check.name for check in checks if not check.passed}
    if "errors" in missed:
        return ExitCode.FAILED
    return ExitCode.BELOW_THRESHOLD if missed else ExitCode.OK
