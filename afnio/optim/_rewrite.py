"""From a model's reply to a text that is safe to install, or to a refusal.

Nothing doubtful is guessed at: the model is asked again with the reason, and after the
last attempt the rewrite is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from afnio.errors import RewriteRefused
from afnio.optim._prompts import Task, contract_of, mark_of, render, tag_of
from afnio.optim._question import Question, answered, stand_in
from afnio.optim._safety import (
    REASONING,
    THOUGHT_TAG,
    check,
    starts_unfinished,
    tidy,
)

Parse = Callable[[str | None], tuple[str, str]]
"""From a reply to a new text, and a note on how it came about."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking for a new text."""

    text: str | None
    """The new text; None if it was refused."""
    reason: str = ""
    """Why it was refused."""
    attempts: int = 1
    """Model calls it took."""
    note: str = ""
    """How the text came about."""


def extract(reply: str | None, tag: str) -> str:
    """Return exactly what stands between the tags, without their line breaks.

    Args:
        reply: What the model wrote; reasoning at its start is skipped, and what stands
            in reasoning elsewhere is no answer.
        tag: The tag's name.

    Raises:
        RewriteRefused: There is not exactly one such text.
    """
    text = REASONING.sub("", reply or "", count=1)
    opening, closing = f"<{tag}>", f"</{tag}>"
    if not text.strip() or starts_unfinished(text):
        raise RewriteRefused("it contains no answer.", reply=reply)
    if text.count(opening) > 1 or text.count(closing) > 1:
        raise RewriteRefused("it uses the tags more than once.", reply=reply)
    start, end = text.find(opening), text.find(closing)
    if start >= 0 and end < 0:
        raise RewriteRefused(f"it ends before {closing}; be briefer.", reply=reply)
    if start < 0 or end < start:
        raise RewriteRefused(f"it lacks {opening} and {closing}.", reply=reply)
    if _is_thinking(text[:start]) and _closes_thinking(text[end:]):
        raise RewriteRefused("it answers inside its reasoning only.", reply=reply)
    return _without_line_breaks(text[start + len(opening) : end])


def _is_thinking(text: str) -> bool:
    """Whether reasoning is open at the end of the text."""
    tags = list(THOUGHT_TAG.finditer(text))
    return bool(tags) and not tags[-1]["end"]


def _closes_thinking(text: str) -> bool:
    """Whether the first tag of reasoning in the text ends it."""
    found = THOUGHT_TAG.search(text)
    return found is not None and bool(found["end"])


def _without_line_breaks(text: str) -> str:
    for line_break in ("\r\n", "\n"):
        if text.startswith(line_break):
            return text[len(line_break) :].removesuffix(line_break)
    return text


async def rewrite(
    task: Task, client: Any, completion_args: Mapping[str, Any]
) -> Outcome:
    """Ask for a whole new text between tags; see `converse`."""
    tag = tag_of(mark_of(task))

    def parse(reply: str | None) -> tuple[str, str]:
        return tidy(extract(reply, tag), task.current), ""

    contract = contract_of(task, mark_of(task))
    return await converse(task, client, completion_args, contract, parse)


async def converse(
    task: Task,
    client: Any,
    completion_args: Mapping[str, Any],
    contract: str,
    parse: Parse,
) -> Outcome:
    """Ask for a new text, again with the reason while replies cannot be used.

    Args:
        task: What to rewrite; its messages are sent.
        client: Who is asked.
        completion_args: Passed with every call.
        contract: How to reply; fills ``{reply}``, and is repeated with a refusal.
        parse: Reads a reply; raises `RewriteRefused`.

    Model calls: 1, and up to ``task.options.attempts`` in all.

    Raises:
        ModelError: A call failed.
    """

    def read(reply: str | None) -> tuple[str, str]:
        text, note = parse(reply)
        check(text, task)
        return text, note

    question = Question(
        client=client,
        messages=render(task, contract),
        contract=contract,
        args=completion_args,
        attempts=task.options.attempts,
    )
    found = await answered(question, read, (stand_in(task.current), "a plan was made"))
    if found.value is None:
        return Outcome(None, found.reason, found.attempts)
    text, note = found.value
    return Outcome(text, "", found.attempts, note)
