"""What a run says about where it comes from: the command, versions, digests. Pure."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, Final

from afnio._version import __version__

_PACKAGES: Final = (
    "anthropic",
    "genai-prices",
    "openai",
    "pydantic",
    "rich",
    "tenacity",
    "xllamacpp",
)
_SECRET_FLAG: Final = re.compile(
    r"^--?([\w-]*(key|secret|password|passwd|(api|auth|access)[_-]?token)|token)$",
    re.IGNORECASE,
)
_SECRET_VALUE: Final = re.compile(r"^(sk|pk|hf|gsk|xai|ghp)[-_]\S{8,}$")
HIDDEN: Final = "***"
"""Stands in a command where a key was given."""


def command(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Return how this process was started, so that `afnio resume` can do it again.

    Values that look like keys are hidden; ``hidden`` says so.

    Args:
        argv: The interpreter and its arguments; by default this process's.
    """
    given = list(sys.orig_argv if argv is None else argv)
    shown = list(_without_secrets(given))
    found: dict[str, Any] = {"argv": shown, "cwd": os.getcwd()}  # noqa: PTH109 - text
    if shown != given:
        found["hidden"] = True
    if argv is None and is_interactive():
        found["interactive"] = True
    return found


def is_interactive() -> bool:
    """Whether a person types the program: there is no script to run again."""
    return "ipykernel" in sys.modules or hasattr(sys, "ps1")


def _without_secrets(argv: Sequence[str]) -> Iterator[str]:
    hide = False
    for word in argv:
        flag, equals, value = word.partition("=")
        is_secret = bool(_SECRET_FLAG.match(flag))
        if equals and is_secret:
            yield f"{flag}={HIDDEN}"
        elif (hide and not word.startswith("-")) or _SECRET_VALUE.match(word):
            yield HIDDEN
        elif equals and _SECRET_VALUE.match(value):
            yield f"{flag}={HIDDEN}"
        else:
            yield word
        hide = is_secret and not equals


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
