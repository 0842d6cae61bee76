"""Writing a program's prompts as a Python module of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from afnio.exporting._program import Chat, Program, Slot, Turn

_HEAD: Final = '''\
"""Prompts of a program, ready for any model: plain Python 3.8, nothing else is needed.

``messages(**inputs)`` returns the conversation of the first chat in ``CHATS``, and
``messages("name", **inputs)`` that of another. An input that is not given stays in the
text as its placeholder.
"""

'''

_CODE: Final = '''

def messages(chat=FIRST, /, **inputs):
    """Return a conversation as a list of {"role": ..., "content": ...}."""
    turns = CHATS[chat]
    known = {part[0] for _, parts in turns for part in parts if type(part) is tuple}
    unknown = sorted(set(inputs) - known)
    if unknown:
        raise TypeError("no message of %s takes %s" % (chat, ", ".join(unknown)))
    return [
        {"role": role, "content": "".join(_text(part, inputs) for part in parts)}
        for role, parts in turns
    ]


def _text(part, inputs):
    if type(part) is str:
        return part
    name = part[0]
    return str(inputs[name]) if name in inputs else "{" + name + "}"
'''


def render_python(program: Program) -> str:
    """Return the source of a module that needs only Python."""
    lines = ["# What is sent: texts, and inputs as (name,).", "CHATS = {"]
    for chat in program.chats:
        lines += [f"    {chat.name!r}: [", *_turns(chat), "    ],"]
    lines.append("}")
    first = program.chats[0].name if program.chats else None
    lines += [f"FIRST = {first!r}", "", "# How it was sent."]
    lines.append("SETTINGS = {")
    for chat in program.chats:
        lines.append(f"    {chat.name!r}: {dict(chat.settings)!r},")
    lines += ["}", "", "# Parameters that stand in no chat.", "TEXTS = {"]
    for name, text in program.texts.items():
        lines += [f"    {name!r}: (", *_literal(text, 8), "    ),"]
    lines.append("}")
    return _HEAD + "\n".join(lines) + "\n" + _CODE


def _turns(chat: Chat) -> Iterator[str]:
    for turn in chat.turns:
        yield f"        ({turn.role!r}, ["
        yield from _parts(turn)
        yield "        ]),"


def _parts(turn: Turn) -> Iterator[str]:
    for part in turn.parts:
        if isinstance(part, Slot):
            yield f"            ({part.name!r},),"
        else:
            *most, last = _literal(part, 12)
            yield from most
            yield f"{last},"


def _literal(text: str, indent: int) -> list[str]:
    """Write text as string literals, one per line of it; Python joins them."""
    lines = text.splitlines(keepends=True) or [""]
    return [f"{' ' * indent}{line!r}" for line in lines]
