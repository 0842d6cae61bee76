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
from afnio.models._response_format import object_schema
from afnio.optim._catalogue_prompts import (
    HISTORY_SYSTEM,
    HISTORY_USER,
    PARAPHRASE_SYSTEM,
    PARAPHRASE_USER,
    RATIONALE_SYSTEM,
    RATIONALE_USER,
    RULE_CONTRACT,
    RULE_SYSTEM,
    RULE_USER,
)
from afnio.optim._edits import EDIT_SCHEMA, apply_edits, parse_edits
from afnio.optim._graph import Graph
from afnio.optim._prompts import Task, limits_of, mark_of
from afnio.optim._question import read_object, read_text
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
    "AppendRule",
    "Ask",
    "Graph",
    "History",
    "Merge",
    "Outcome",
    "Paraphrase",
    "Patch",
    "Proposer",
    "Reconsider",
    "Reflect",
    "Rewrite",
    "Task",
    "changed_lines",
]

_SHOWN_LINES: Final = 12

RULE_SCHEMA: Final = object_schema("rule", {"rule": {"type": "string"}})


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
        compact = [replace(ask, task=_compact(ask.task)) for ask in asks]
        return await _rewritten(compact, REFLECT_SYSTEM, REFLECT_USER)


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
        return await _rewritten(asks, MERGE_SYSTEM, MERGE_USER)


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """Ask for the current text in other words, without looking at any feedback.

    Model calls: 1 per parameter, and up to ``attempts`` while replies are unusable.
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all at once."""
        return await _rewritten(asks, PARAPHRASE_SYSTEM, PARAPHRASE_USER)


@dataclass(frozen=True, slots=True)
class History:
    """Ask for a new text that scores higher than the versions shown.

    Examples show what the task is; nothing is said about why an answer was wrong.

    Model calls: 1 per parameter, and up to ``attempts`` while replies are unusable.

    Source: the meta-prompt of OPRO (Yang et al. 2023), arXiv 2309.03409.
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all at once."""
        plain = [replace(ask, task=without_verdicts(ask.task)) for ask in asks]
        return await _rewritten(plain, HISTORY_SYSTEM, HISTORY_USER)


@dataclass(frozen=True, slots=True)
class Reconsider:
    """Ask for a better text in the light of comparisons with earlier attempts.

    Model calls: 1 per parameter, and up to ``attempts`` while replies are unusable.

    Source: Feedback Descent (2025), arXiv 2511.07919.
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all at once."""
        compact = [replace(ask, task=_compact(ask.task)) for ask in asks]
        return await _rewritten(compact, RATIONALE_SYSTEM, RATIONALE_USER)


@dataclass(frozen=True, slots=True)
class AppendRule:
    """Ask for one rule, from a better and a worse run, and add it to the text.

    The better run is the task's successful example, the worse one its failed example.

    Model calls: 1 per parameter, and up to ``attempts`` while replies are unusable.

    Source: SIMBA, an optimizer of DSPy 2.6 (2025).
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all at once."""
        return await gather(self._one(ask) for ask in asks)

    async def _one(self, ask: Ask) -> Outcome:
        turns = (("system", RULE_SYSTEM), ("user", RULE_USER))
        task = replace(ask.task, turns=turns, per_sample=True)
        contract = "\n".join([RULE_CONTRACT, *limits_of(task, mark_of(task))])

        def parse(reply: str | None) -> tuple[str, str]:
            rule = read_text(read_object(reply), "rule", reply)
            return f"{task.current.rstrip()}\n{rule}", f"added: {rule}"

        args = {"response_format": RULE_SCHEMA, **ask.completion_args}
        return await converse(task, ask.client, args, contract, parse)


async def _rewritten(asks: Sequence[Ask], system: str, user: str) -> list[Outcome]:
    """Ask for all whole texts at once, in these words."""
    turns = (("system", system), ("user", user))
    return await gather(
        rewrite(replace(ask.task, turns=turns), ask.client, ask.completion_args)
        for ask in asks
    )


def without_verdicts(task: Task) -> Task:
    """Show examples as a data set has them: inputs, and what is expected."""
    shown = {
        (str(record.inputs or record.messages), str(record.target)): record.but(
            output=None, score=None, critique=""
        )
        for record in (*task.failures, *task.successes)
    }
    return replace(task, feedback=(), failures=(), successes=tuple(shown.values()))


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
