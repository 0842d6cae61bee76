"""Proposers: who writes new values for parameters, from what is known about them.

A proposer gets one `Ask` per parameter and returns one `Outcome` each, in order. It
changes nothing, and it never raises for a reply that cannot be used: that is an
`Outcome` without a text, and a reason. A failed *call* raises.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, runtime_checkable

from afnio._dispatch import gather
from afnio._text import shorten
from afnio.optim._edits import EDIT_SCHEMA, apply_edits, parse_edits
from afnio.optim._prompts import Task, limits_of, mark_of
from afnio.optim._rewrite import Outcome, converse, rewrite
from afnio.optim._search_prompts import (
    MERGE_SYSTEM,
    MERGE_USER,
    PATCH_SYSTEM,
    PATCH_USER,
    REFLECT_SYSTEM,
    REFLECT_USER,
    patch_contract,
)

__all__ = [
    "Ask",
    "Merge",
    "Outcome",
    "Patch",
    "Proposer",
    "Reflect",
    "Rewrite",
    "Task",
    "changed_lines",
]

_SHOWN_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Ask:
    """One parameter to propose a value for."""

    task: Task
    """What is known about it."""
    client: Any
    """Who is asked."""
    completion_args: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Proposer(Protocol):
    """Writes new values."""

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Return one outcome per parameter, in order.

        Raises:
            ModelError: A call failed.
        """


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Ask for the whole new text, in the words of `TGD`.

    Model calls: 1 per parameter, and up to ``attempts`` while replies are unusable.
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all at once."""
        return await gather(
            rewrite(ask.task, ask.client, ask.completion_args) for ask in asks
        )


@dataclass(frozen=True, slots=True)
class Reflect:
    """Ask for the whole new text after a reflection on examples and their feedback.

    Every failed example stands beside what was said about it; no summary is shown.

    Model calls: 1 per parameter, and up to ``attempts`` while replies are unusable.
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all at once."""
        turns = (("system", REFLECT_SYSTEM), ("user", REFLECT_USER))
        tasks = [replace(_compact(ask.task), turns=turns) for ask in asks]
        return await gather(
            rewrite(task, ask.client, ask.completion_args)
            for task, ask in zip(tasks, asks, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Patch:
    """Ask for a few edits of the text: add, replace, delete, move.

    At most ``Task.edits`` of them are applied, the first ones; the rest of the text
    stays as it is, byte by byte. Edits come as JSON, so nothing in them can be taken
    for a delimiter. An edit whose place is not found once in the text is left out.

    Model calls: 1 per parameter, and up to ``attempts`` while replies are unusable.
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all at once."""
        return await gather(self._one(ask) for ask in asks)

    async def _one(self, ask: Ask) -> Outcome:
        turns = (("system", PATCH_SYSTEM), ("user", PATCH_USER))
        task = replace(_compact(ask.task), turns=turns)
        contract = "\n".join(
            [patch_contract(task.edits), *limits_of(task, mark_of(task))]
        )

        def parse(reply: str | None) -> tuple[str, str]:
            return apply_edits(task.current, parse_edits(reply), task.edits)

        args = {"response_format": EDIT_SCHEMA, **ask.completion_args}
        return await converse(task, ask.client, args, contract, parse)


@dataclass(frozen=True, slots=True)
class Merge:
    """Ask for one text that unites two: ``Task.history`` holds the other one.

    Model calls: 1 per parameter, and up to ``attempts`` while replies are unusable.
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all at once."""
        turns = (("system", MERGE_SYSTEM), ("user", MERGE_USER))
        tasks = [replace(ask.task, turns=turns) for ask in asks]
        return await gather(
            rewrite(task, ask.client, ask.completion_args)
            for task, ask in zip(tasks, asks, strict=True)
        )


def _compact(task: Task) -> Task:
    """Show feedback beside its example, and of rejected texts only what was new."""
    tried = task.tried or tuple(
        changed_lines(task.current, text) for text in task.rejected
    )
    return replace(task, per_sample=True, tried=tried)


def changed_lines(before: str, after: str) -> str:
    r"""Return the lines that differ, marked with ``-`` and ``+``, a few of them.

    Examples:
        >>> changed_lines("Be kind.\nAnswer.", "Be kind.\nAnswer in one word.")
        '- Answer.\n+ Answer in one word.'
    """
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), lineterm="", n=0
    )
    found = [line for line in list(lines)[2:] if line[:1] in ("+", "-")]
    shown = [f"{line[0]} {shorten(line[1:], 400)}" for line in found[:_SHOWN_LINES]]
    if len(found) > _SHOWN_LINES:
        shown.append(f"({len(found) - _SHOWN_LINES} lines more)")
    return "\n".join(shown)
