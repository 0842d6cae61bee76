"""Pure text helpers: shortening, fencing, item lists, placeholders, closest names."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from afnio.errors import InputTypeError

ROLE_LIMIT: Final = 200
"""Characters that a joined role may have before it is cut."""

_PLACEHOLDER: Final = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")


def shorten(text: object, limit: int = 80) -> str:
    """Return at most about ``limit`` characters of ``text`` on one line."""
    flat = " ".join(str(text).split())
    if len(flat) <= limit:
        return flat
    half = max(1, (limit - 3) // 2)
    return f"{flat[:half]}...{flat[-half:]}"


def cut_middle(text: str, limit: int) -> str:
    """Cut the middle out of a long text and say in its place how much was cut."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    cut = len(text) - head - tail
    return f"{text[:head]}\n[... {cut} characters cut here ...]\n{text[-tail:]}"


def fence(text: str, tag: str) -> str:
    """Put ``text`` between tags that occur nowhere in it.

    A number is added to ``tag`` when the text contains it already, so text that looks
    like our tags stays text.
    """
    name = unused_tag(tag, [text])
    return f"<{name}>\n{text}\n</{name}>"


def unused_tag(tag: str, texts: Iterable[str]) -> str:
    """Return ``tag``, numbered if need be, so that no text contains ``<tag`` as is."""
    everything = "\n".join(texts).casefold()
    name, number = tag, 1
    while f"<{name}" in everything or f"</{name}" in everything:
        number += 1
        name = f"{tag}{number}"
    return name


def items(texts: Iterable[str]) -> str:
    """Write texts as ``<ITEM>…</ITEM>``, one after the other."""
    return "".join(f"<ITEM>{text}</ITEM>" for text in texts)


def join_roles(roles: Iterable[str | None], limit: int = ROLE_LIMIT) -> str:
    """Join roles with ``and``, without repetition, cut at ``limit`` characters."""
    try:
        return _join_roles(roles := tuple(roles), limit)
    except (AttributeError, TypeError):
        bad = next(r for r in roles if not isinstance(r, str | None))
        raise InputTypeError(
            f"a role must be text, got {type(bad).__name__}: {shorten(bad)}. Is it the "
            "second argument of a Variable, where requires_grad=... was meant?"
        ) from None


@functools.lru_cache(maxsize=1024)
def _join_roles(roles: tuple[str | None, ...], limit: int) -> str:
    seen: dict[str, None] = {}
    for role in roles:
        for part in (role or "").split(" and "):
            if part:
                seen[part] = None
    joined = " and ".join(seen)
    return joined if len(joined) <= limit else f"{joined[: limit - 3]}..."


def closest(name: str, known: Iterable[str]) -> str:
    """Return a suggestion for a mistyped name, or the known names."""
    import difflib  # slow to import, and needed only to word an error

    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names) or 'none'}."


def placeholders(template: str) -> list[str]:
    """List the names in single braces, in order of first use; ``{{name}}`` is text."""
    if "{" not in template:
        return []
    found = (match.group(2) for match in _PLACEHOLDER.finditer(template))
    return list(dict.fromkeys(name for name in found if name))


def fill(template: str, values: Mapping[str, object]) -> str:
    """Replace ``{name}`` where ``name`` is a key of ``values``; all else is text.

    ``{{name}}`` writes a literal ``{name}``. Values are inserted once and never scanned
    again, so braces in them survive.
    """
    if "{" not in template:
        return template

    def replace(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal is not None:
            return f"{{{literal}}}"
        return str(values[name]) if name in values else match.group(0)

    return _PLACEHOLDER.sub(replace, template)


def map_leaves(fn: Callable[[object], object], data: object) -> object:
    """Apply ``fn`` to every leaf of a nested list; ``None`` stays ``None``."""
    if isinstance(data, list):
        return [map_leaves(fn, item) for item in data]
    return None if data is None else fn(data)


def describe(value: object) -> str:
    """Name a value's type, and its length if it has one, for an error message."""
    name = type(value).__name__
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{name} of length {len(value)}"
    return name
