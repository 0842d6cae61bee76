"""The active run: `init` one, `log` to it, `finish` it; `resume` one that stopped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from afnio.errors import InputTypeError, InputValueError
from afnio.tracking._names import random_name
from afnio.tracking._reading import read_document
from afnio.tracking._status import RunStatus, as_status
from afnio.tracking.loggers import RunLogger, checked_loggers
from afnio.tracking.project import create_project
from afnio.tracking.run import Run
from afnio.tracking.run_context import (
    get_active_run,
    set_active_run,
    started_here,
    was_opened,
    watch,
)
from afnio.tracking.store import slug

RESUME_VARIABLE: Final = "AFNIO_RESUME"
"""The environment variable that names the directory of a run to go on with."""


def init(
    namespace_slug: str,
    project_display_name: str,
    name: str | None = None,
    description: str | None = None,
    status: RunStatus | str = RunStatus.RUNNING,
    client: Any = None,  # noqa: ARG001 - documented
    *,
    loggers: Iterable[RunLogger] = (),
) -> Run:
    """Start a run and make it the active one.

    A run that this thread had left unfinished becomes FAILED. In a program that
    ``afnio resume`` has started again, the run that it had started then goes on.

    Args:
        namespace_slug: Whom the run belongs to; noted, and nothing else.
        project_display_name: Its project, made if it is not there.
        name: Its name; random by default, and numbered if taken.
        description: In words.
        status: How it starts.
        client: Accepted as documented; not used.
        loggers: Where else it is recorded: `RunLogger` objects, such as those of
            ``afnio.tracking.adapters``.

    Raises:
        InputTypeError: A name is not text, or a logger not one.
        InputValueError: The project's name has no letter or digit.
        OSError: The directory cannot be written; set ``AFNIO_RUNS`` to another.
    """
    for label, text in (("namespace_slug", namespace_slug), ("name", name or "")):
        if not isinstance(text, str):
            raise InputTypeError(f"{label} is {type(text).__name__}; expected text.")
    start, checked = as_status(status), checked_loggers(loggers)
    project = create_project(namespace_slug, project_display_name, "RESTRICTED")
    previous = get_active_run()
    if previous is not None and started_here(previous):
        previous.finish(status=RunStatus.FAILED)
    if (path := run_to_resume(project.slug, name)) is not None:
        return resume(path, loggers=checked)
    run = Run(
        project,
        name or random_name(),
        namespace_slug=namespace_slug,
        description=description,
        status=start,
        loggers=checked,
    )
    set_active_run(run)
    watch(run)
    return run


def resume(path: str | os.PathLike[str], *, loggers: Iterable[RunLogger] = ()) -> Run:
    """Go on with the run in the directory ``path``, and make it the active one.

    Its process must have stopped; what is logged now is added to what is there.

    Raises:
        FileFormatError: It is not a run that this afnio can read.
        StateError: Its process is still at work.
    """
    run = Run.reopen(path, loggers=loggers)
    set_active_run(run)
    watch(run)
    return run


def run_to_resume(project: str | None = None, name: str | None = None) -> Path | None:
    """Return the run that ``AFNIO_RESUME`` tells this process to go on with.

    None if there is none, if this process has opened it already, or if it is another
    one than the program is about to start.

    Args:
        project: The slug of the project that the run has to be in, if any.
        name: The name that it has to have, apart from a number.
    """
    told = os.environ.get(RESUME_VARIABLE)
    if not told or was_opened(path := Path(told).absolute()):
        return None
    data = read_document(path)
    if project is not None and slug(data["project"]) != project:
        return None
    base = re.sub(r"_\d+$", "", data["name"])
    return path if name in (None, data["name"], base) else None


def log(
    name: str,
    value: Any,
    step: int | None = None,
    client: Any = None,  # noqa: ARG001 - documented
) -> None:
    """Record one value of a metric in the active run; see `Run.log`.

    Raises:
        InputValueError: There is no active run.
    """
    run = get_active_run()
    if run is None:
        raise InputValueError(
            "No active run is set. Start one: afnio.tracking.init(namespace, project)."
        )
    run.log(name, value, step)


def finish(status: RunStatus | str = RunStatus.COMPLETED) -> None:
    """End the active run, if there is one."""
    run = get_active_run()
    if run is not None:
        run.finish(status=status)
