"""The command line as a whole: help, completion, exit codes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from cli_helpers import cli, process, run
from typer.testing import CliRunner

from afnio import errors
from afnio.cli import ExitCode
from afnio.cli._command import command

COMMANDS = ["run", "resume", "eval", "report", "diff", "export", "plan", "models"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(name):
    """Help has a summary that fits the list of commands, and examples."""
    result = cli(name, "--help")
    assert result.exit_code == 0
    assert f"    afnio {name}" in result.stdout
    lines = cli("--help").stdout.splitlines()
    assert not [line for line in lines[1:] if line.endswith("...")]


@pytest.mark.parametrize("name", ["info", "list", "show", "prune", "export"])
def test_every_cache_command_has_help(name):
    """The sub-commands too."""
    assert cli("cache", name, "--help").exit_code == 0


def test_the_exit_codes_are_documented_and_stable():
    """Scripts rely on these numbers."""
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "BELOW_THRESHOLD": 1,
        "USAGE": 2,
        "FAILED": 3,
        "INTERRUPTED": 130,
        "PIPE_CLOSED": 141,
    }
    assert "3 the work failed" in " ".join(cli("--help").stdout.split())


def test_the_module_can_be_run():
    """``python -m afnio`` is the command."""
    code, out, _ = run("--version")
    assert (code, out.split()[0]) == (0, "afnio")


def test_completion_is_offered():
    """The shell can complete commands."""
    code, out, _ = run(_PYTHON__M_AFNIO_COMPLETE="complete_bash", COMP_WORDS="x re")
    assert code in (0, 2)
    assert "--show-completion" in cli("--help").stdout
    del out


def test_help_imports_nothing_heavy():
    """It is there at once: no model library, no rich, no numbers."""
    probe = (
        "import sys; from afnio.cli import app; "
        "heavy = {'openai', 'anthropic', 'pydantic', 'rich', 'afnio.trainer', "
        "'afnio.models'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


def test_the_library_does_not_import_the_command_line():
    """Typer is needed for commands only."""
    probe = (
        "import sys, afnio.evaluation, afnio.trainer; assert 'typer' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputValueError("words"), 2),
        (errors.FileFormatError("words"), 2),
        (errors.MissingExtraError("words"), 2),
        (PermissionError("words"), 2),
        (errors.AuthError("words"), 2),
        (errors.ServerError("words"), 3),
        (errors.BudgetError("words"), 3),
        (errors.ReplayMissError("words"), 3),
        (ZeroDivisionError("words"), 3),
        (KeyboardInterrupt("words"), 130),
    ],
)
def test_errors_have_exit_codes(error, code):
    """By what a script can do about them."""
    app = typer.Typer(rich_markup_mode=None)

    def fail():
        """Fail."""
        raise error

    command(app)(fail)
    result = CliRunner().invoke(app, [])
    assert result.exit_code == code
    assert "words" in result.stderr


def test_option_groups_become_options():
    """A dataclass parameter is one option per field."""

    @dataclass
    class Group:
        one: Annotated[int, typer.Option(help="First.")] = 1
        two: Annotated[str, typer.Option(help="Second.")] = "b"

    app = typer.Typer(rich_markup_mode=None)
    seen = []

    def show(word: str, *, group: Group) -> None:
        """Show."""
        seen.append((word, group))

    show.__annotations__["group"] = Group
    command(app)(show)
    assert CliRunner().invoke(app, ["x", "--two", "c"]).exit_code == 0
    assert seen == [("x", Group(1, "c"))]


def test_a_reader_that_stops_reading_is_no_error():
    """``afnio … | head`` ends quietly."""
    with process("--help") as started:
        started.stdout.close()
        err = started.stderr.read()
        started.wait(timeout=60)
    assert "Traceback" not in err
