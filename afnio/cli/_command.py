"""Turning functions into commands: option groups, and what errors exit with."""

from __future__ import annotations

import functools
import inspect
import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final, get_type_hints

import typer

from afnio._terminal import printable
from afnio.errors import (
    AfnioError,
    AuthError,
    BudgetError,
    CancelledError,
    ModelError,
    ReplayMissError,
    ReplyError,
)


class ExitCode(IntEnum):
    """What commands exit with; scripts may rely on it."""

    OK = 0
    BELOW_THRESHOLD = 1
    """An evaluation misses a threshold."""
    USAGE = 2
    """An option, a file, a key or another input is missing or cannot be used."""
    FAILED = 3
    """The work itself failed: a model call, a budget, an error in the program."""
    INTERRUPTED = 130
    """Ctrl-C."""
    PIPE_CLOSED = 141
    """Whoever read the output has stopped reading."""


EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 an evaluation misses a threshold; 2 an option or an input "
    "cannot be used; 3 the work failed; 130 stopped by Ctrl-C."
)

_FAILURES: Final = (
    BudgetError,
    CancelledError,
    ModelError,
    ReplayMissError,
    ReplyError,
)

_TITLE: Final = re.compile(r"\n\n(Examples|Exit codes):")
"""What begins a paragraph whose lines stay as they are, marked so by a backspace."""


def command(
    app: typer.Typer, name: str | None = None, **settings: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command of ``app``.

    A parameter that is annotated with a dataclass becomes one option per field of it.
    Errors that afnio raises on purpose are shown without a traceback.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        text = _TITLE.sub("\n\n\b\n\\1:", inspect.getdoc(function) or "")
        app.command(name, help=text, **settings)(_guarded(_flattened(function)))
        return function

    return register


def _flattened(function: Callable[..., Any]) -> Callable[..., Any]:
    """Replace parameters that are dataclasses by their fields."""
    hints = get_type_hints(function, include_extras=True)
    hints.pop("return", None)
    groups: dict[str, Any] = {
        name: kind for name, kind in hints.items() if is_dataclass(kind)
    }

    @functools.wraps(function)
    def flat(**values: Any) -> Any:
        for name, group in groups.items():
            own = {item.name: values.pop(item.name) for item in fields(group)}
            values[name] = group(**own)
        return function(**values)

    params = [*_parameters(function, hints, groups)]
    flat.__signature__ = inspect.Signature(params)  # type: ignore[attr-defined]
    flat.__annotations__ = {param.name: param.annotation for param in params}
    return flat


def _parameters(
    function: Callable[..., Any], hints: Mapping[str, Any], groups: Mapping[str, Any]
) -> Iterator[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY
    for param in inspect.signature(function).parameters.values():
        if param.name not in groups:
            yield param.replace(annotation=hints[param.name], kind=kind)
            continue
        group = groups[param.name]
        types = get_type_hints(group, include_extras=True)
        for item in fields(group):
            yield inspect.Parameter(
                item.name, kind, default=_default(item), annotation=types[item.name]
            )


def _default(item: Field[Any]) -> Any:
    return inspect.Parameter.empty if item.default is MISSING else item.default


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with exits():
            return function(*args, **kwargs)

    return guarded


@contextmanager
def exits() -> Iterator[None]:
    """Turn errors inside the block into messages and exit codes."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except KeyboardInterrupt as stop:
        told = str(stop).startswith("stopped ")  # as a Trainer says it
        say(f"afnio: {stop}" if told else f"afnio: stopped. {stop}".rstrip())
        raise typer.Exit(ExitCode.INTERRUPTED) from stop
    except BrokenPipeError as error:
        # what is left must go somewhere, or Python complains when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.PIPE_CLOSED) from error
    except (AfnioError, OSError) as error:
        say(f"afnio: {error_words(error)}")
        raise typer.Exit(code_of(error)) from error
    except (Exception, SystemExit) as error:  # sys.exit in the user's code is no result
        say(traceback.format_exc().rstrip())
        raise typer.Exit(ExitCode.FAILED) from error


def code_of(error: BaseException) -> ExitCode:
    """Return what an error that was raised on purpose exits with."""
    is_failure = isinstance(error, _FAILURES) and not isinstance(error, AuthError)
    return ExitCode.FAILED if is_failure else ExitCode.USAGE


def error_words(error: BaseException) -> str:
    """Return an error's message, with its kind where that says more."""
    kind = "" if isinstance(error, AfnioError) else f"{type(error).__name__}: "
    return printable(f"{kind}{error}")


def say(text: str) -> None:
    """Tell the person at the terminal something that is not the result."""
    typer.echo(text, err=True)


def print_json(value: Any, indent: int | None = None) -> None:
    """Print JSON for a script; numbers that JSON lacks become null."""
    text = json.dumps(_finite(value), indent=indent, default=str, allow_nan=False)
    typer.echo(text)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, Decimal):
        value = float(value)
    is_number = isinstance(value, float)
    return None if is_number and not math.isfinite(value) else value
