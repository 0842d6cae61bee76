"""Edits: small changes of a text, each at a place that it quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from afnio._text import shorten
from afnio.errors import RewriteRefused
from afnio.models._response_format import closed_object, object_schema
from afnio.optim._question import read_json

Action = Literal["add", "replace", "delete", "move"]

EDIT_SCHEMA: Final = object_schema(
    "edits",
    {
        "edits": {
            "type": "array",
            "items": closed_object(
                {
                    "action": {"type": "string", "enum": [*get_args(Action)]},
                    "find": {"type": "string"},
                    "text": {"type": "string"},
                }
            ),
        }
    },
)
"""The response format that `Patch` asks for."""

_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_SAYS: Final = 3
"""Words from which a line says something by itself, so that once is enough."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a text."""

    action: Action
    find: str
    """What it is about, quoted from the text; empty for the end (of an addition)."""
    text: str
    """What is added, or takes the place of ``find``; for a move, what it goes after."""


def parse_edits(reply: str | None) -> list[Edit]:
    """Return the edits of a reply.

    Raises:
        RewriteRefused: It is not one JSON object of edits.
    """
    found = read_json(reply)
    rows = found.get("edits") if isinstance(found, dict) else found
    if not isinstance(rows, list) or not rows:
        raise RewriteRefused('it has no list "edits" with an edit in it.', reply=reply)
    return [_edit(row, number, reply) for number, row in enumerate(rows, 1)]


def _edit(row: Any, number: int, reply: str | None) -> Edit:
    known = get_args(Action)
    if not isinstance(row, dict) or row.get("action") not in known:
        raise RewriteRefused(
            f'edit {number} needs an "action" out of {", ".join(known)}.', reply=reply
        )
    values = {name: row.get(name) or "" for name in ("find", "text")}
    for name, value in values.items():
        if not isinstance(value, str):
            raise RewriteRefused(f'"{name}" of edit {number} is no text.', reply=reply)
    if row["action"] != "delete" and not values["text"].strip():
        raise RewriteRefused(f'edit {number} has an empty "text".', reply=reply)
    return Edit(row["action"], values["find"], values["text"])


def apply_edits(current: str, edits: Sequence[Edit], limit: int) -> tuple[str, str]:
    """Apply the first ``limit`` edits, one after the other; say what was done.

    An edit whose place cannot be found is left out; the rest stands on its own.

    Returns:
        The new text, and a note such as ``2 edits (replace, add)``.

    Raises:
        RewriteRefused: None of them can be applied.
    """
    text, done, failed = current, [], []
    for number, edit in enumerate(edits[:limit], 1):
        try:
            text = _apply(text, edit)
            done.append(edit.action)
        except RewriteRefused as problem:
            failed.append(f"edit {number}: {problem}")
    if not done:
        raise RewriteRefused("no edit can be applied. " + " ".join(failed))
    note = f"{len(done)} edit{'s' * (len(done) > 1)} ({', '.join(done)})"
    if failed:
        note += f"; left out: {' '.join(failed)}"
    if len(edits) > limit:
        note += f"; {len(edits) - limit} beyond the limit of {limit}"
    return text, note


def _apply(text: str, edit: Edit) -> str:
    if edit.action == "add":
        return _added(text, edit.find, edit.text)
    start, end = _place(text, edit.find)
    if edit.action == "replace":
        return text[:start] + _breaks_like(text, edit.text) + text[end:]
    rest = _without(text, start, end)
    return rest if edit.action == "delete" else _added(rest, edit.text, text[start:end])


def _added(text: str, after: str, new: str) -> str:
    """Insert ``new`` after a quote: on a line of its own unless in a line's middle."""
    end = len(text.rstrip()) if not after else _place(text, after)[1]
    rest = text[end:]
    new = _breaks_like(text, new.strip("\r\n"))
    if len(_WORD.findall(new)) >= _SAYS and _is_line_of(text, new):
        raise RewriteRefused(f"the text says {shorten(new, 60)!r} already.")
    if after and rest and not rest.startswith(("\n", "\r\n")):
        return f"{text[:end]}{'' if new.startswith(' ') else ' '}{new}{rest}"
    return f"{text[:end]}{_break_of(text)}{new}{rest}"


def _is_line_of(text: str, new: str) -> bool:
    words = new.casefold().split()
    return any(line.casefold().split() == words for line in text.splitlines())


def _place(text: str, quote: str) -> tuple[int, int]:
    """Return where the quote stands in the text, white space aside.

    Raises:
        RewriteRefused: It is empty, or stands there never or more than once.
    """
    words = quote.split()
    if not words:
        raise RewriteRefused('"find" is empty.')
    found = [match.span() for match in re.finditer(re.escape(quote), text)]
    if not found:
        pattern = r"\s+".join(map(re.escape, words))
        found = [match.span() for match in re.finditer(pattern, text)]
    if len(found) != 1:
        where = "not in the text" if not found else f"there {len(found)} times"
        raise RewriteRefused(f"{shorten(quote, 60)!r} is {where}; quote it exactly.")
    return found[0]


def _without(text: str, start: int, end: int) -> str:
    """Remove a span, and the line or the gap that it leaves empty."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end + 1
    if not (text[line_start:start] + text[end:line_end]).strip():
        rest = text[:line_start] + text[line_end:]
        return rest if line_end < len(text) else rest.rstrip("\r\n")
    if text[:start].endswith(" ") and text[end : end + 1] in ("", " ", "\n", "\r"):
        start -= 1
    elif start == line_start and text[end : end + 1] == " ":
        end += 1
    return text[:start] + text[end:]


def _break_of(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _breaks_like(text: str, new: str) -> str:
    """Give new text the line breaks of the old one."""
    return re.sub(r"\r\n|\r|\n", lambda _: _break_of(text), new)
