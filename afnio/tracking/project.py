"""Projects: the directories that runs are grouped in."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid4, uuid5

from afnio.errors import FileFormatError, InputTypeError, InputValueError
from afnio.tracking.store import read_json, runs_root, slug, write_json

_FILE: Final = "project.json"
_FORMAT: Final = "afnio.project"
_VERSION: Final = 1
VISIBILITIES: Final = ("RESTRICTED", "TEAM", "PUBLIC", "OPEN")
"""Kept for programs that name one; on a disk they change nothing."""


@dataclass(frozen=True, slots=True)
class Organization:
    """Whom a run belongs to."""

    slug: str


@dataclass(frozen=True, slots=True)
class User:
    """Who started a run."""

    uuid: str
    username: str
    slug: str

    @classmethod
    def named(cls, username: str) -> User:
        """Return the user of that name; the same name always gets the same uuid."""
        return cls(str(uuid5(NAMESPACE_URL, f"user/{username}")), username, username)


@dataclass(frozen=True, slots=True)
class Project:
    """A named group of runs."""

    uuid: str
    display_name: str
    slug: str
    visibility: str = "RESTRICTED"

    @property
    def path(self) -> Path:
        """The directory of its runs."""
        return runs_root() / self.slug


def get_project(
    namespace_slug: str,  # noqa: ARG001 - documented
    project_slug: str,
    client: Any = None,  # noqa: ARG001 - documented
) -> Project | None:
    """Return the project of that slug, or None.

    Args:
        namespace_slug: Accepted as documented; projects are found by slug alone.
        project_slug: The slug, or the display name it is made from.
        client: Accepted as documented; not used.
    """
    path = runs_root() / _slug_of(project_slug) / _FILE
    return _decode(path, read_json(path)) if path.exists() else None


def create_project(
    namespace_slug: str,
    display_name: str,
    visibility: str = "TEAM",
    client: Any = None,  # noqa: ARG001 - documented
) -> Project:
    """Make a project, or return the one that is there.

    Raises:
        InputValueError: ``visibility`` is unknown, or the name has no letter or digit.
    """
    if visibility not in VISIBILITIES:
        raise InputValueError(
            f"visibility is {visibility!r}; expected one of {', '.join(VISIBILITIES)}."
        )
    if (found := get_project(namespace_slug, display_name)) is not None:
        return found
    made = Project(str(uuid4()), display_name, _slug_of(display_name), visibility)
    made.path.mkdir(parents=True, exist_ok=True)
    write_json(made.path / _FILE, _encode(made))
    return made


def load_project(directory: Path) -> Project:
    """Return the project that a directory of runs belongs to."""
    path = directory / _FILE
    if path.exists():
        return _decode(path, read_json(path))
    return Project(str(uuid4()), directory.name, directory.name)


def delete_project(
    namespace_slug: str,
    project_slug: str,
    client: Any = None,  # noqa: ARG001 - documented
) -> None:
    """Delete a project and all its runs; there is no undo.

    Raises:
        InputValueError: There is no such project.
    """
    project = get_project(namespace_slug, project_slug)
    if project is None:
        raise InputValueError(
            f"no project {project_slug!r} in {runs_root()}; nothing was deleted."
        )
    shutil.rmtree(project.path)


def _slug_of(name: str) -> str:
    if not isinstance(name, str):
        raise InputTypeError(f"a project name is text, got {type(name).__name__}.")
    if not (made := slug(name)):
        raise InputValueError(
            f"project name {name!r} has no letter or digit to make a directory from."
        )
    return made


def _encode(project: Project) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "uuid": project.uuid,
        "display_name": project.display_name,
        "slug": project.slug,
        "visibility": project.visibility,
    }


def _decode(path: Path, data: Mapping[str, Any]) -> Project:
    if data.get("format") != _FORMAT or data.get("version", 0) > _VERSION:
        raise FileFormatError(f"{path} is not a project file this afnio can read.")
    return Project(
        data["uuid"], data["display_name"], path.parent.name, data["visibility"]
    )
