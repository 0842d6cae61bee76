"""From a model's reply to a text that is safe to install, or to a refusal.

Nothing doubtful is guessed at: the model is asked again with the reason, and after the
last attempt the rewrite is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afnio._text import cut_middle, fill
from afnio.errors import RewriteRefused
from afnio.models._plan import active_plan
from afnio.models._sampling import next_index
from afnio.optim._prompts import (
    RETRY,
    Task,
    contract_of,
    mark_of,
    render,
    tag_of,
)
from afnio.optim._safety import (
    REASONING,
    THOUGHT_TAG,
    check,
    starts_unfinished,
    tidy,
)

_REPLY_CHARS: Final = 4_000
"""Characters of an unusable reply that are shown to the model again."""

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
    messages = render(task, contract)
    reason = ""
    for attempt in range(1, task.options.attempts + 1):
        reply = await client.agenerate(
            messages,
            role="optimizer",
            sample_index=next_index(client, messages, completion_args),
            **completion_args,
        )
        if active_plan() is not None:  # nothing was sent: there is no new text
            return Outcome(task.current, "", attempt, "a plan was made")
        try:
            text, note = parse(reply.text)
            check(text, task)
        except RewriteRefused as refusal:
            reason = str(refusal)
            messages = [*messages, *_again(reply.text, reason, contract)]
        else:
            return Outcome(text, "", attempt, note)
    return Outcome(None, reason, task.options.attempts)


def _again(reply: str | None, reason: str, contract: str) -> list[dict[str, str]]:
    text = (reply or "").encode("utf-8", "replace").decode("utf-8")
    shown = cut_middle(text if text.strip() else "(no text)", _REPLY_CHARS)
    asked = fill(RETRY, {"reason": reason, "contract": contract})
    return [
        {"role": "assistant", "content": shown},
        {"role": "user", "content": asked},
    ]
