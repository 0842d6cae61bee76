"""Run: one training or evaluation on record, in a directory of its own."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.tracking._fanout import Fanout
from afnio.tracking._manifest import command, merged, versions
from afnio.tracking._reading import (
    FORMAT,
    VERSION,
    is_gone,
    last_steps,
    read_document,
    utc_now,
)
from afnio.tracking._status import RunStatus, as_status
from afnio.tracking.loggers import RunInfo, RunLogger, checked_loggers
from afnio.tracking.project import Organization, Project, User, load_project
from afnio.tracking.run_context import brief_error, unwatch
from afnio.tracking.store import (
    EVENTS_FILE,
    RUN_FILE,
    EventLog,
    claim,
    save_prompt,
    write_json,
)

__all__ = ["Run", "RunStatus"]


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
        loggers: Where else it is recorded.
        clock: Tells the time; injected by tests.

    Attributes:
        path: Its directory.
        command: How its process was started: ``argv`` and ``cwd``.
        manifest: Facts about it that `describe` was told.
        resumed: Whether it goes on where an earlier process has stopped.
        fits: How many fits this process has begun in it.
    """

    def __init__(
        self,
        project: Project,
        name: str,
        *,
        namespace_slug: str = "local",
        description: str | None = None,
        status: RunStatus = RunStatus.RUNNING,
        loggers: Iterable[RunLogger] = (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        checked = checked_loggers(loggers)
        self.path, self.name = claim(project.path.absolute(), name)
        self.uuid, self.description = str(uuid4()), description
        self.organization = Organization(namespace_slug)
        self.user = User.named(namespace_slug)
        self.date_created = clock()
        self.command = command(run=self.path)
        self.manifest: dict[str, Any] = {}
        self.resumed = False
        self._begin(project, status, clock, checked)

    @classmethod
    def reopen(
        cls,
        path: str | os.PathLike[str],
        *,
        loggers: Iterable[RunLogger] = (),
        clock: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Go on with the run in a directory, whose process has stopped.

        Args:
            path: Its directory.
            loggers: Where else it is recorded from now on.
            clock: Tells the time; injected by tests.

        Raises:
            FileFormatError: It is not a run that this afnio can read.
            StateError: Its process is still at work.
        """
        directory = Path(path).absolute()
        data, checked = read_document(directory), checked_loggers(loggers)
        same = data["pid"] == os.getpid()
        if data["status"] == RunStatus.RUNNING and not same and not is_gone(data):
            raise StateError(
                f"run {data['name']!r} is still going on, in process {data['pid']} on "
                f"{data['host']}; stop that first, or start a new run."
            )
        self = cls.__new__(cls)
        self.path, self.name, self.uuid = directory, data["name"], data["uuid"]
        self.description = data["description"]
        self.organization = Organization(data["organization"])
        self.user = User.named(data["user"])
        self.date_created = datetime.fromisoformat(data["date_created"])
        self.command = data.get("command") or command()
        self.manifest = data.get("manifest") or {}
        self.resumed = True
        project = load_project(directory.parent)
        self._begin(project, RunStatus.RUNNING, clock, checked)
        self._append("resumed", pid=self.pid)
        return self

    def _begin(
        self,
        project: Project,
        status: RunStatus,
        clock: Callable[[], datetime],
        loggers: list[RunLogger],
    ) -> None:
        """Set up what belongs to this process, and write the file."""
        self.project = project
        self.status = status
        self.fits = 0
        self.pid = os.getpid()
        self.thread = threading.get_ident()
        self.date_updated = clock()
        self._clock = clock
        self._lock = threading.Lock()
        self._events = EventLog(self.path / EVENTS_FILE)
        self._steps = last_steps(self._events.path) if self.resumed else {}
        self._versions = versions()
        self._fanouts: list[Fanout] = []
        self._save()
        self.add_loggers(loggers)

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
            self._check_open()
            self._append("metric", name=name, value=value, step=at)
            self._steps[name] = max(at, self._steps.get(name, -1))
            self._forward("log_metrics", {name: value}, at)

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
        self._check_open()
        self._append(kind, **fields)
        self._forward("log_event", kind, fields)

    def _check_open(self) -> None:
        if self.is_finished:
            raise StateError(
                f"run {self.name!r} is {self.status.value}; make a new one with init()."
            )

    def describe(self, **facts: Any) -> None:
        """Add facts about the run to its manifest; dicts are merged, at every depth.

        Args:
            **facts: JSON data.

        Raises:
            InputTypeError: A fact is not JSON data; nothing has changed.
        """
        with self._lock:
            manifest = merged(self.manifest, facts)
            before, self.manifest = self.manifest, manifest
            if manifest != before:
                try:
                    self._save()
                except (TypeError, ValueError) as error:
                    self.manifest = before
                    raise InputTypeError(
                        f"a run is described by JSON data: {error}"
                    ) from error
                self._forward("describe", facts)

    def save_prompt(self, name: str, value: Any) -> None:
        """Keep a parameter's first and latest value in ``prompts/<name>/``.

        What cannot be written there is left out, with a warning in the events.
        """
        try:
            save_prompt(self.path / "prompts", name, value)
        except OSError as error:
            self._append("warning", message=f"a prompt was not kept: {error}")

    def add_loggers(self, loggers: Iterable[RunLogger]) -> None:
        """Record the run elsewhere too, from now on.

        Raises:
            InputTypeError: Something is not a logger.
        """
        if checked := checked_loggers(loggers):
            info = RunInfo(
                name=self.name,
                project=self.project.display_name,
                uuid=self.uuid,
                description=self.description or "",
                path=self.path,
                resumed=self.resumed,
            )
            fanout = Fanout(checked, info, self._logger_failed)
            facts = {"command": self.command, "versions": self._versions}
            fanout.send("describe", {**facts, **self.manifest})
            self._fanouts.append(fanout)

    def _logger_failed(self, logger: str, error: str) -> None:
        self._append("logger_failed", logger=logger, error=error)

    def _forward(self, method: str, *args: Any) -> None:
        for fanout in self._fanouts:
            fanout.send(method, *args)

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
        self._end(as_status(status))

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
        fanouts, self._fanouts = self._fanouts, []
        for fanout in fanouts:
            fanout.close(status.value)

    def _append(self, kind: str, **fields: Any) -> None:
        time = self._clock().isoformat(timespec="milliseconds")
        self._events.append({"time": time, "type": kind, **fields})

    def _save(self) -> None:
        data = {
            "format": FORMAT,
            "version": VERSION,
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
            "command": self.command,
            "versions": self._versions,
            "manifest": self.manifest,
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
