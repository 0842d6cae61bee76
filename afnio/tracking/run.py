"""Run: one training or evaluation on record, in a directory of its own."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from afnio._text import closest
from afnio._version import __version__
from afnio.errors import FileFormatError, InputTypeError, InputValueError, StateError
from afnio.tracking._names import random_name
from afnio.tracking.project import Organization, Project, User, create_project
from afnio.tracking.run_context import (
    brief_error,
    get_active_run,
    set_active_run,
    started_here,
    unwatch,
    watch,
)
from afnio.tracking.store import (
    EVENTS_FILE,
    RUN_FILE,
    EventLog,
    claim,
    read_events,
    read_json,
    write_json,
)

_FORMAT: Final = "afnio.run"
_VERSION: Final = 1


class RunStatus(StrEnum):
    """How a run stands."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CRASHED = "CRASHED"
    FAILED = "FAILED"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Run:
    """A run and its directory; made with `init`.

    Used with ``with``, it is COMPLETED at the end of the block, or CRASHED by an
    exception, which goes on.

    Args:
        project: Where it belongs.
        name: Its name; the directory gets a number if the name is taken.
        namespace_slug: Whom it belongs to.
        description: In words.
        status: How it starts.
        clock: Tells the time; injected by tests.
    """

    def __init__(
        self,
        project: Project,
        name: str,
        *,
        namespace_slug: str = "local",
        description: str | None = None,
        status: RunStatus = RunStatus.RUNNING,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.path, self.name = claim(project.path.absolute(), name)
        self.uuid = str(uuid4())
        self.description = description
        self.status = status
        self.project = project
        self.organization = Organization(namespace_slug)
        self.user = User.named(namespace_slug)
        self.pid = os.getpid()
        self.thread = threading.get_ident()
        self.date_created = self.date_updated = clock()
        self._clock = clock
        self._lock = threading.Lock()
        self._steps: dict[str, int] = {}
        self._events = EventLog(self.path / EVENTS_FILE)
        self._save()

    def __repr__(self) -> str:
        return (
            f"Run(name={self.name!r}, project={self.project.slug!r}, "
            f"status={self.status.value})"
        )

    @property
    def is_finished(self) -> bool:
        """Whether it is no longer RUNNING."""
        return self.status is not RunStatus.RUNNING

    def log(
        self,
        name: str,
        value: Any,
        step: int | None = None,
        client: Any = None,  # noqa: ARG002 - documented
    ) -> None:
        """Record one value of a metric.

        Args:
            name: The metric.
            value: JSON data; NaN and infinities become text.
            step: Its step; by default one more than the last of that name, from 0.
            client: Accepted as documented; not used.

        Raises:
            InputTypeError: An argument is of the wrong kind.
            StateError: The run is finished.
        """
        if not isinstance(name, str):
            raise InputTypeError(f"a metric's name is text, got {type(name).__name__}.")
        if step is not None and (not isinstance(step, int) or isinstance(step, bool)):
            raise InputTypeError(
                f"step is {type(step).__name__}; expected int or None."
            )
        with self._lock:
            at = self._steps.get(name, -1) + 1 if step is None else step
            self.record("metric", name=name, value=value, step=at)
            self._steps[name] = max(at, self._steps.get(name, -1))

    def record(self, kind: str, /, **fields: Any) -> None:
        """Append an event of any kind, such as a decision of an optimizer.

        Raises:
            InputTypeError: A field is not JSON data.
            InputValueError: A field is called ``time`` or ``type``.
            StateError: The run is finished.
        """
        if taken := {"time", "type"} & fields.keys():
            raise InputValueError(
                f"an event cannot have a field {taken.pop()!r}: every event has one."
            )
        if self.is_finished:
            raise StateError(
                f"run {self.name!r} is {self.status.value}; make a new one with init()."
            )
        self._append(kind, **fields)

    def finish(
        self,
        client: Any = None,  # noqa: ARG002 - documented
        status: RunStatus | str = RunStatus.COMPLETED,
    ) -> None:
        """End the run; ending it again does nothing.

        Args:
            client: Accepted as documented; not used.
            status: How it ended.
        """
        self._end(_status(status))

    def close(self, error: BaseException | None = None) -> None:
        """End the run as COMPLETED, or as CRASHED by ``error``."""
        if error is None:
            self._end(RunStatus.COMPLETED)
        else:
            self._end(RunStatus.CRASHED, error=brief_error(error))

    def _end(self, status: RunStatus, **fields: Any) -> None:
        with self._lock:
            if not self.is_finished:
                self._append("status", status=status.value, **fields)
                self.status, self.date_updated = status, self._clock()
                self._save()
        unwatch(self)

    def _append(self, kind: str, **fields: Any) -> None:
        time = self._clock().isoformat(timespec="milliseconds")
        self._events.append({"time": time, "type": kind, **fields})

    def _save(self) -> None:
        data = {
            "format": _FORMAT,
            "version": _VERSION,
            "uuid": self.uuid,
            "name": self.name,
            "description": self.description,
            "status": self.status.value,
            "date_created": self.date_created.isoformat(),
            "date_updated": self.date_updated.isoformat(),
            "organization": self.organization.slug,
            "project": self.project.display_name,
            "user": self.user.username,
            "pid": self.pid,
            "host": platform.node(),
            "versions": {"afnio": __version__, "python": platform.python_version()},
        }
        write_json(self.path / RUN_FILE, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(error)


def _status(status: RunStatus | str) -> RunStatus:
    try:
        return RunStatus(status)
    except ValueError as error:
        known = [member.value for member in RunStatus]
        raise InputValueError(
            f"status is {status!r}; {closest(str(status), known)}"
        ) from error


def init(
    namespace_slug: str,
    project_display_name: str,
    name: str | None = None,
    description: str | None = None,
    status: RunStatus | str = RunStatus.RUNNING,
    client: Any = None,  # noqa: ARG001 - documented
) -> Run:
    """Start a run and make it the active one.

    A run that this thread had left unfinished becomes FAILED.

    Args:
        namespace_slug: Whom the run belongs to; noted, and nothing else.
        project_display_name: Its project, made if it is not there.
        name: Its name; random by default, and numbered if taken.
        description: In words.
        status: How it starts.
        client: Accepted as documented; not used.

    Raises:
        InputTypeError: A name is not text.
        InputValueError: The project's name has no letter or digit.
        OSError: The directory cannot be written; set ``AFNIO_RUNS`` to another.
    """
    for label, text in (("namespace_slug", namespace_slug), ("name", name or "")):
        if not isinstance(text, str):
            raise InputTypeError(f"{label} is {type(text).__name__}; expected text.")
    start = _status(status)
    project = create_project(namespace_slug, project_display_name, "RESTRICTED")
    previous = get_active_run()
    if previous is not None and started_here(previous):
        previous.finish(status=RunStatus.FAILED)
    run = Run(
        project,
        name or random_name(),
        namespace_slug=namespace_slug,
        description=description,
        status=start,
    )
    set_active_run(run)
    watch(run)
    return run


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


def read_run(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a run's directory, also while it is written or after a crash.

    A run that says RUNNING though its process is gone from this machine is reported as
    CRASHED.

    Returns:
        The contents of ``run.json``, and the events, oldest first.

    Raises:
        FileFormatError: It is not a run that this afnio can read.
    """
    directory = Path(path)
    file = directory / RUN_FILE
    if not file.exists():
        raise FileFormatError(f"{directory} is not a run: it has no {RUN_FILE}.")
    data = read_json(file)
    if data.get("format") != _FORMAT or data.get("version", 0) > _VERSION:
        raise FileFormatError(f"{file} is not a run file this afnio can read.")
    if data["status"] == RunStatus.RUNNING and _is_gone(data):
        data["status"] = RunStatus.CRASHED.value
    return data, list(read_events(directory / EVENTS_FILE))


def _is_gone(data: Mapping[str, Any]) -> bool:
    if os.name != "posix" or data.get("host") != platform.node():
        return False
    try:
        os.kill(data["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
