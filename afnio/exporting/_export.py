"""`export_program`, and the formats JSON and Markdown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from afnio._files import write_atomic
from afnio._text import closest
from afnio.errors import InputValueError
from afnio.exporting._program import Chat, Program, collect, template_of
from afnio.exporting._python import render_python

_SUFFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {".json": "json", ".markdown": "markdown", ".md": "markdown", ".py": "python"}
)


def export_program(
    program: Any,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 - the natural word
) -> Path:
    """Write a program's prompts to a file that needs no afnio to use.

    The chats that modules have registered are written as they are sent: demonstrations
    become the turns that they stand for, placeholders stay. With them go the settings
    of their calls, and the Parameters that stand in no chat; keys, headers and clients
    do not.

    - ``markdown`` is for people, to read and to paste from.
    - ``json`` is a list of ``{"role", "content"}``, or a dict with one list per chat.
      In it ``{name}`` is an input and ``{{name}}`` the text ``{name}``.
    - ``python`` is a module of its own with a function ``messages(**inputs)``.

    Args:
        program: A Module, the state dict of one, or a loaded checkpoint.
        path: The file, written completely or not at all.
        format: ``markdown``, ``json`` or ``python``; by default what the name's ending
            (.md, .json, .py) says.

    Returns:
        The path.

    Raises:
        InputTypeError: ``program`` is something else.
        InputValueError: The format is unknown; there is nothing to export; a message
            holds a batch; or, for JSON, a text cannot be written as a template.

    Examples:
        >>> import afnio.cognitive as cog, tempfile
        >>> ask = cog.ChatCompletion(messages=[
        ...     {"role": "user", "content": [cog.Parameter("Translate {text}.")]}
        ... ])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = export_program(ask, f"{folder}/ask.py")
        ...     namespace = {}
        ...     exec(path.read_text("utf-8"), namespace)
        >>> namespace["messages"](text="Ciao")
        [{'role': 'user', 'content': 'Translate Ciao.'}]
    """
    target = Path(path)
    render = _renderer(format, target)
    write_atomic(target, _encode(render(collect(program))))
    return target


def _renderer(name: str | None, path: Path) -> Callable[[Program], str]:
    if name is None and path.suffix.lower() not in _SUFFIXES:
        raise InputValueError(
            f"the name {path.name!r} tells no format; pass format='markdown', 'json' "
            "or 'python'."
        )
    name = _SUFFIXES[path.suffix.lower()] if name is None else name
    if name not in _RENDERERS:
        raise InputValueError(
            f"format={name!r} is unknown; {closest(str(name), _RENDERERS)}"
        )
    return _RENDERERS[name]


def _encode(text: str) -> bytes:
    """Return UTF-8; what no file can hold (half a surrogate pair) is escaped."""
    return text.encode("utf-8", "backslashreplace")


# -- JSON -----------------------------------------------------------------------------


def _render_json(program: Program) -> str:
    if not program.chats:
        raise InputValueError(
            "the program has registered no chat, so there are no messages to write; "
            "its Parameters can be exported as markdown or python."
        )
    found = {chat.name: _messages(chat) for chat in program.chats}
    only = found[program.chats[0].name] if len(found) == 1 else found
    return json.dumps(only, ensure_ascii=False, indent=2) + "\n"


def _messages(chat: Chat) -> list[dict[str, str]]:
    return [
        {"role": turn.role, "content": template_of(turn.parts, strict=True)}
        for turn in chat.turns
    ]


# -- Markdown -------------------------------------------------------------------------


def _render_markdown(program: Program) -> str:
    lines = [
        "# Prompts",
        "",
        "`{name}` marks an input; `{{name}}` is the text `{name}`.",
        "",
    ]
    for chat in program.chats:
        lines += [f"## {chat.name}", ""]
        if chat.settings:
            pairs = (f"`{key}`: `{value!r}`" for key, value in chat.settings.items())
            lines += [f"Settings: {', '.join(pairs)}", ""]
        for turn in chat.turns:
            text = template_of(turn.parts, strict=False)
            lines += [f"### {turn.role}", "", _block(text), ""]
    if program.texts:
        lines += ["## Other parameters", ""]
    for name, text in program.texts.items():
        lines += [f"### {name}", "", _block(text), ""]
    return "\n".join(lines)


def _block(text: str) -> str:
    """Return ``text`` as a code block, whatever it contains."""
    ticks = "```"
    while ticks in text:
        ticks += "`"
    return f"{ticks}text\n{text}\n{ticks}"


_RENDERERS: Final[Mapping[str, Callable[[Program], str]]] = MappingProxyType(
    {"json": _render_json, "markdown": _render_markdown, "python": render_python}
)
