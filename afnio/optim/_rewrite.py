"""From a model's reply to a text that is safe to install, or to a refusal.

Nothing doubtful is guessed at: the model is asked again with the reason, and after the
last attempt the rewrite is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afnio._text import cut_middle, fill, placeholders, shorten
from afnio.autodiff._sampling import next_index
from afnio.errors import InputValueError, RewriteRefused
from afnio.optim._prompts import (
    RETRY,
    Task,
    contract_of,
    mark_of,
    render,
    tag_of,
)

_REASONING: Final = re.compile(
    r"\A\s*<(think|thinking|thought|reasoning)>.*?</\1>\s*", re.DOTALL | re.IGNORECASE
)
_OPENED: Final = re.compile(
    r"<(?P<end>/?)(?P<name>think|thinking|thought|reasoning)>", re.IGNORECASE
)
_TAGS: Final = "new|current|role|feedback|constraint|example|value|version|rejected"
"""Names of the request's tags, before the mark."""
_SPECIAL: Final = re.compile(
    r"<[|\uff5c][\w\u2581-]{1,40}[|\uff5c]>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"
)
"""Tokens that mark turns in the chat formats of models."""
_ZERO_WIDTH: Final = re.compile("[\u00ad\u200b\u2060\ufeff]")
_CODE_FENCE: Final = re.compile(r"\A\s*```[\w+-]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)
_REPLY_CHARS: Final = 4_000
"""Characters of an unusable reply that are shown to the model again."""
_NAMES: Final = 10
"""Placeholders named in a reason."""
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
"""Unicode categories that show nothing."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What came of asking for a new text."""

    text: str | None
    """The new text; None if it was refused."""
    reason: str
    attempts: int


def extract(reply: str | None, tag: str) -> str:
    """Return exactly what stands between the tags, without their line breaks.

    Args:
        reply: What the model wrote; reasoning at its start is skipped, and what stands
            in reasoning elsewhere is no answer.
        tag: The tag's name.

    Raises:
        RewriteRefused: There is not exactly one such text.
    """
    text = _REASONING.sub("", reply or "", count=1)
    opening, closing = f"<{tag}>", f"</{tag}>"
    if not text.strip() or _starts_unfinished(text):
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


def _starts_unfinished(text: str) -> bool:
    """Whether the text starts with reasoning, of which the end is missing."""
    found = _OPENED.match(text.lstrip())
    return found is not None and not found["end"]


def _is_thinking(text: str) -> bool:
    """Whether reasoning is open at the end of the text."""
    tags = list(_OPENED.finditer(text))
    return bool(tags) and not tags[-1]["end"]


def _closes_thinking(text: str) -> bool:
    """Whether the first tag of reasoning in the text ends it."""
    found = _OPENED.search(text)
    return found is not None and bool(found["end"])


def _without_line_breaks(text: str) -> str:
    for line_break in ("\r\n", "\n"):
        if text.startswith(line_break):
            return text[len(line_break) :].removesuffix(line_break)
    return text


def tidy(text: str, current: str) -> str:
    """Remove debris around a proposal where the current text shows that it is debris.

    That is reasoning, a code fence around the whole, and outer white space, each only
    if the current text has none of the kind.
    """
    if not _OPENED.search(current):
        text = _REASONING.sub("", text, count=1)
    fenced = _CODE_FENCE.match(text)
    if fenced and "```" not in current and "```" not in fenced[1]:
        text = fenced[1]
    return text.strip() if current == current.strip() else text


def check(text: str, task: Task) -> None:
    """Raise unless a proposal is safe to install.

    Raises:
        RewriteRefused: Saying what is wrong, in words for the model.
    """
    for problem in _problems(text, task):
        raise RewriteRefused(problem, reply=text)


def _problems(text: str, task: Task) -> Iterator[str]:
    if all(unicodedata.category(char) in _INVISIBLE for char in text):
        yield "the new text is empty."
    yield from _placeholder_problems(text, task)
    if re.search(rf"(?:{_TAGS})_{mark_of(task)}", text, re.IGNORECASE):
        yield "the new text contains tags of the request; leave them out."
    yield from _foreign_problems(text, task.current)
    if task.max_length is not None and len(text) > task.max_length:
        yield (
            f"the new text has {len(text)} characters; at most {task.max_length} are "
            "allowed."
        )
    if normal(text) == normal(task.current):
        yield "the new text is the current text; change what the feedback asks for."
    if any(normal(text) == normal(other) for other in task.rejected):
        yield "this text was tried before and did not do better; propose another."
    if task.check is not None:
        try:
            task.check(text)
        except InputValueError as error:
            yield f"the parameter cannot hold the new text: {error}"


def _placeholder_problems(text: str, task: Task) -> Iterator[str]:
    before, after = placeholders(task.current), placeholders(text)
    if missing := [name for name in before if name not in after]:
        yield f"the new text lacks the placeholders {_braced(missing)}."
    if invented := [name for name in after if name not in before]:
        yield (
            f"the program has no values for the placeholders {_braced(invented)}; "
            "leave them out, or double their braces if they are meant as plain text."
        )


def _foreign_problems(text: str, current: str) -> Iterator[str]:
    """Yield what no prompt should contain, unless the current text has it too."""
    if tokens := _new(_SPECIAL.findall(text), current):
        yield (
            f"the new text contains {', '.join(tokens)}, which mark turns of a chat; "
            "leave them out."
        )
    if not _OPENED.search(current) and _is_unpaired(text):
        yield "the new text contains a part of your reasoning; leave it out."
    doubtful = (char for char in text if _is_control(char))
    if characters := _new(doubtful, current):
        names = ", ".join(f"U+{ord(char):04X}" for char in characters)
        yield f"the new text contains control characters ({names}); leave them out."


def _is_unpaired(text: str) -> bool:
    """Whether reasoning starts or ends in the text, but not both."""
    ends = [bool(tag["end"]) for tag in _OPENED.finditer(text)]
    return 2 * sum(ends) != len(ends)


def _is_control(char: str) -> bool:
    """Whether a character breaks terminals, files or requests; surrogates do."""
    return unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r"


def _new(found: Iterable[str], current: str) -> list[str]:
    """Return what the current text lacks, a few of them."""
    return [item for item in dict.fromkeys(found) if item not in current][:_NAMES]


def normal(text: str) -> str:
    """Return ``text`` without differences that nobody sees, to find near-duplicates."""
    return " ".join(_ZERO_WIDTH.sub("", text).split())


def _braced(names: list[str]) -> str:
    shown = ", ".join(f"{{{shorten(name)}}}" for name in names[:_NAMES])
    return shown if len(names) <= _NAMES else f"{shown} and {len(names) - _NAMES} more"


async def rewrite(
    task: Task, client: Any, completion_args: Mapping[str, Any]
) -> Rewrite:
    """Ask for a new text, again with the reason while replies cannot be used.

    Model calls: 1, and up to ``task.options.attempts`` in all.

    Raises:
        ModelError: A call failed.
    """
    messages = render(task)
    tag, contract = tag_of(mark_of(task)), contract_of(task, mark_of(task))
    reason = ""
    for attempt in range(1, task.options.attempts + 1):
        reply = await client.agenerate(
            messages,
            role="optimizer",
            sample_index=next_index(client, messages, completion_args),
            **completion_args,
        )
        try:
            text = tidy(extract(reply.text, tag), task.current)
            check(text, task)
        except RewriteRefused as refusal:
            reason = str(refusal)
            messages = [*messages, *_again(reply.text, reason, contract)]
        else:
            return Rewrite(text, "", attempt)
    return Rewrite(None, reason, task.options.attempts)


def _again(reply: str | None, reason: str, contract: str) -> list[dict[str, str]]:
    text = (reply or "").encode("utf-8", "replace").decode("utf-8")
    shown = cut_middle(text if text.strip() else "(no text)", _REPLY_CHARS)
    asked = fill(RETRY, {"reason": reason, "contract": contract})
    return [
        {"role": "assistant", "content": shown},
        {"role": "user", "content": asked},
    ]
