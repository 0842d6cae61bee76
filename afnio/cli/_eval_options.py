"""The options of ``eval``: how it works, what must be reached, where results go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from afnio.errors import InputValueError

if TYPE_CHECKING:
    from afnio.evaluation import Thresholds


@dataclass(frozen=True, kw_only=True)
class HowOptions:
    """How the program is called and scored."""

    evaluator: Annotated[
        str | None,
        typer.Option(
            "--evaluator",
            "-e",
            metavar="NAME",
            help="exact_match, match (ignores case and white space), or FILE.py:NAME "
            "of an evaluator Module or a function of prediction and target. By "
            "default the program's own test_step, or else exact_match.",
        ),
    ] = None
    target: Annotated[
        str,
        typer.Option(
            metavar="FIELD", help="The right answer's field; '' if there is none."
        ),
    ] = "target"
    input: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD", help="A field that is an input; repeat it. By default all."
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="PROVIDER/MODEL",
            help="Who answers, for programs that are given their model.",
        ),
    ] = None
    state: Annotated[
        str | None,
        typer.Option(metavar="FILE|RUN", help="Load the program from this first."),
    ] = None
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first samples.")
    ] = None
    concurrency: Annotated[
        int, typer.Option(min=1, metavar="N", help="Samples at once.")
    ] = 64


@dataclass(frozen=True, kw_only=True)
class MustOptions:
    """What the program must reach."""

    min_score: Annotated[
        float | None, typer.Option(metavar="S", help="Fail if the mean score is lower.")
    ] = None
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            "-b",
            metavar="FILE",
            help="Fail if the score falls below this earlier evaluation (--out).",
        ),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(
            metavar="PROGRAM",
            help="Evaluate this program as well, without --state, as the baseline.",
        ),
    ] = None
    max_regression: Annotated[
        float, typer.Option(min=0, metavar="S", help="How far it may fall.")
    ] = 0.0
    max_errors: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many samples may fail.")
    ] = 0
    sure: Annotated[
        bool,
        typer.Option(
            "--sure",
            help="Fail only if the whole 95 % interval is beyond the threshold.",
        ),
    ] = False

    def thresholds(self) -> Thresholds:
        """Return them as `afnio.evaluation` knows them."""
        from afnio.evaluation import Thresholds

        return Thresholds(
            min_score=self.min_score,
            max_regression=self.max_regression,
            max_errors=self.max_errors,
            sure=self.sure,
        )


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """Where results go."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Save the evaluation as JSON, per sample.",
        ),
    ] = None
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Save it as JUnit XML for a CI system."),
    ] = None
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else.")
    ] = False
    show: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Samples shown: the worst, or those changed."
        ),
    ] = 5

    def prepare(self, *sources: str | None) -> None:
        """Make the directories of the files, before anything is paid.

        Args:
            *sources: What is read: files, or names in files after a colon.

        Raises:
            InputValueError: A directory stands where a file is to be written, or a file
                that is read, or both results would go to one file.
        """
        read = {_real(name) for name in sources if name}
        read |= {_real(name.rpartition(":")[0]) for name in sources if name}
        for path in (self.out, self.junit):
            if path is not None and path.is_dir():
                raise InputValueError(f"{path} is a directory; name a file in it.")
            if path is not None and _real(path) in read:
                raise InputValueError(
                    f"{path} is read by this evaluation and would be replaced by its "
                    "result; name another file to write to."
                )
            if path is not None:
                read.add(_real(path))
                path.parent.mkdir(parents=True, exist_ok=True)


def _real(path: str | Path) -> str:
    return os.path.realpath(path)
