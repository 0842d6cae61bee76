"""Hiding keys in a command line before it is written down. Pure.

It is better to hide a word too many than one too few: `afnio resume` then asks for the
command, and nothing else is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

HIDDEN: Final = "***"
"""Stands where a key was given."""

_SHORTEST: Final = 8
"""Characters of a value from the environment that is looked for elsewhere."""

_NAME: Final = re.compile(
    r"[\w.-]*(?:key|token|secret|passw(?:or)?d|passphrase)|"
    r"(?:[\w.-]*[_.-])?(?:auth|authorization|pwd|credentials?)",
    re.IGNORECASE,
)
_URL: Final = re.compile(r"[a-z][a-z\d+.-]*://\S+", re.IGNORECASE)
_SHAPES: Final = re.compile(
    r"(?<![A-Za-z\d])(?:(?:sk|pk|rk|hf|gsk|xai|ghp|gho|ghs|glpat|github_pat|xox[abprs])"
    r"[-_][\w.-]{8,}|AIza[\w-]{20,}|AKIA[A-Z\d]{12,}|eyJ[\w-]{8,}\.[\w.-]{8,})"
)
_SCHEME: Final = re.compile(r"\b(bearer|basic)(\s+)\S+", re.IGNORECASE)
_INSIDE: Final = re.compile(
    r"""([\w-]*(?:api[_-]?key|token|secret|passw(?:or)?d)["']?\s*[:=]\s*["']?)"""
    r"""([^\s"',;&}]+)""",
    re.IGNORECASE,
)


def without_secrets(
    words: Iterable[str], environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield the words of a command, with ``***`` where a key is.

    That is: the value of an option, or in NAME=VALUE, whose name says so; passwords and
    queries of URLs; whatever has the shape of a key; and what a variable of such a name
    in ``environment`` holds.
    """
    known = sorted(_values(environment or {}), key=len, reverse=True)
    hide_next = False
    for word in words:
        name, equals, _ = word.partition("=")
        is_secret = _NAME.fullmatch(name.lstrip("-")) is not None
        if hide_next and not word.startswith("-"):
            yield HIDDEN
        elif is_secret and equals:
            yield f"{name}={HIDDEN}"
        else:
            yield _shown(word, known)
        hide_next = is_secret and not equals and word.startswith("-")


def _values(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if _NAME.fullmatch(name) and len(value) >= _SHORTEST:
            yield value


def _shown(text: str, known: Iterable[str]) -> str:
    for value in known:
        text = text.replace(value, HIDDEN)
    text = _URL.sub(lambda found: _shown_url(found[0]), text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", _SHAPES.sub(HIDDEN, text))
    return _INSIDE.sub(rf"\1{HIDDEN}", text)


def _shown_url(url: str) -> str:
    """Leave out who logs in, and all values of the query."""
    scheme, _, rest = url.partition("://")
    place, mark, query = rest.partition("?")
    user, at, host = place.rpartition("@")
    if user and "/" not in user.partition(":")[0]:
        place = f"{HIDDEN}{at}{host}"
    query = re.sub(r"=[^&#]*", f"={HIDDEN}", query)
    return f"{scheme}://{place}{mark}{query}"
