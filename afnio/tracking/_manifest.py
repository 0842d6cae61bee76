"""What a run says about where it comes from: the command, versions, digests. Pure."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, Final

from afnio._version import __version__
from afnio.tracking._secrets import without_secrets

_PACKAGES: Final = (
    "anthropic",
    "genai-prices",
    "openai",
    "pydantic",
    "rich",
    "tenacity",
    "xllamacpp",
)


def command(
    argv: Sequence[str] | None = None, run: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Return how this process was started, so that `afnio resume` can do it again.

    Values that look like keys are hidden; ``hidden`` says so.

    Args:
        argv: The interpreter and its arguments; by default this process's.
        run: The directory of the run that it has started.
    """
    given = list(sys.orig_argv if argv is None else argv)
    shown = list(without_secrets(given, os.environ))
    found: dict[str, Any] = {"argv": shown, "cwd": os.getcwd()}  # noqa: PTH109 - text
    if shown != given:
        found["hidden"] = True
    if argv is None and is_interactive():
        found["interactive"] = True
    if run is not None:
        found["origin"] = origin(run)
    return found


def origin(run: str | os.PathLike[str]) -> dict[str, str]:
    """Return where and by whom a run is started, as far as this process can tell."""
    return {
        "host": platform.node(),
        "user": _user(),
        "python": sys.prefix,
        "run": os.path.realpath(run),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def is_interactive() -> bool:
    """Whether a person types the program: there is no script to run again."""
    return "ipykernel" in sys.modules or hasattr(sys, "ps1")


def versions() -> dict[str, str]:
    """Return the versions of afnio, Python, the system, and what afnio builds on."""
    found = {"afnio": __version__, "python": platform.python_version()}
    found["platform"] = platform.platform()
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def digest(value: Any) -> str:
    """Return a name for JSON data or bytes: equal for equal contents, anywhere."""
    if not isinstance(value, bytes):
        text = json.dumps(value, sort_keys=True, default=repr)
        value = text.encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(value).hexdigest()}"


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``old`` with what ``new`` says, dicts merged at every depth."""
    result = dict(old)
    for key, value in new.items():
        before = result.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[key] = merged(before, value) if both else value  # type: ignore[arg-type]
    return result
