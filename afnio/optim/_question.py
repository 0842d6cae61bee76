"""A question to a model, asked again with the reason until the answer is fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from afnio._text import cut_middle, fill, shorten
from afnio.errors import RewriteRefused
from afnio.models._plan import active_plan
from afnio.models._sampling import next_index
from afnio.models._structured import extract_json
from afnio.optim._prompts import RETRY
from afnio.optim._safety import REASONING, starts_unfinished

T = TypeVar("T")

_REPLY_CHARS: Final = 4_000
"""Characters of an unusable reply that are shown to the model again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask, and whom."""

    client: Any
    messages: Sequence[Mapping[str, str]]
    contract: str
    """How to reply; repeated with a refusal."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Passed to the model with every call."""
    attempts: int = 3
    role: str = "optimizer"
    """Whose calls these count as."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came of a question."""

    value: T | None
    """None if no reply could be used."""
    reason: str = ""
    """Why not, of the last one."""
    attempts: int = 1
    """Model calls it took."""


async def answered(
    question: Question, read: Callable[[str | None], T], planned: T
) -> Answer[T]:
    """Ask, and again with the reason while replies cannot be used.

    Args:
        question: What to ask.
        read: Reads a reply; raises `RewriteRefused`.
        planned: The value while a plan is made and nothing is sent.

    Model calls: 1, and up to ``question.attempts`` in all.

    Raises:
        ModelError: A call failed.
    """
    client, args = question.client, question.args
    messages = [dict(turn) for turn in question.messages]
    reason = ""
    for attempt in range(1, question.attempts + 1):
        reply = await client.agenerate(
            messages,
            role=question.role,
            sample_index=next_index(client, messages, args),
            **args,
        )
        if active_plan() is not None:
            return Answer(planned, "", attempt)
        try:
            return Answer(read(reply.text), "", attempt)
        except RewriteRefused as refusal:
            reason = str(refusal)
            messages = [*messages, *_again(reply.text, reason, question.contract)]
    return Answer(None, reason, question.attempts)


def stand_in(current: str) -> str:
    """Return what stands for a rewrite of a text while a plan is made.

    Each is another one, so that candidates are evaluated, and counted.
    """
    planned = active_plan()
    return current if planned is None else f"{current}\n({planned.next_number()})"


def _again(reply: str | None, reason: str, contract: str) -> list[dict[str, str]]:
    text = (reply or "").encode("utf-8", "replace").decode("utf-8")
    shown = cut_middle(text if text.strip() else "(no text)", _REPLY_CHARS)
    asked = fill(RETRY, {"reason": reason, "contract": contract})
    return [
        {"role": "assistant", "content": shown},
        {"role": "user", "content": asked},
    ]


# -- replies in JSON -----------------------------------------------------------------


def read_json(reply: str | None) -> Any:
    """Return what a reply says in JSON; reasoning at its start is skipped.

    Raises:
        RewriteRefused: There is no JSON, or not all of it.
    """
    text = REASONING.sub("", reply or "", count=1)
    if not text.strip() or starts_unfinished(text):
        raise RewriteRefused("it contains no answer.", reply=reply)
    try:
        return json.loads(extract_json(text))
    except (ValueError, RecursionError) as error:
        raise RewriteRefused(
            f"it is no JSON object, or not all of one ({shorten(error)}).", reply=reply
        ) from error


def read_object(reply: str | None) -> dict[str, Any]:
    """Return the JSON object of a reply.

    Raises:
        RewriteRefused: There is none.
    """
    found = read_json(reply)
    if not isinstance(found, dict):
        raise RewriteRefused("it is JSON, but no object.", reply=reply)
    return found


def read_text(found: Mapping[str, Any], name: str, reply: str | None) -> str:
    """Return a text of an object, without space around it.

    Raises:
        RewriteRefused: It is missing, empty, or no text.
    """
    value = found.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RewriteRefused(f'it has no text "{name}".', reply=reply)
    return value.strip()
