"""Runs on disk: `init` one, `log` to it, `finish` it. And what to say at their end."""

from afnio.tracking._active import finish, init, log, resume
from afnio.tracking._reading import read_run
from afnio.tracking.loggers import RunInfo, RunLogger
from afnio.tracking.project import (
    Project,
    create_project,
    delete_project,
    get_project,
)
from afnio.tracking.run import Run, RunStatus
from afnio.tracking.run_context import (
    get_active_run,
    set_active_run,
    suppress_variable_notifications,
)
from afnio.tracking.summary import Summary

__all__ = [
    "Project",
    "Run",
    "RunInfo",
    "RunLogger",
    "RunStatus",
    "Summary",
    "create_project",
    "delete_project",
    "finish",
    "get_active_run",
    "get_project",
    "init",
    "log",
    "read_run",
    "resume",
    "set_active_run",
    "suppress_variable_notifications",
]
