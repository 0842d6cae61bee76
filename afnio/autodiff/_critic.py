"""The critic: what in the inputs of a model call led to the feedback on its reply.

One call per failing sample returns the feedback on every tracked input of that call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio._text import cut_middle, fence, fill, shorten
from afnio.autodiff._prompts import (
    CRITIC_REPAIR,
    CRITIC_SYSTEM,
    CRITIC_TARGET,
    CRITIC_USER,
)
from afnio.errors import ContextLengthError, GradientCountError, ReplyError
from afnio.models._response_format import object_schema
from afnio.models._roles import get_backward_model_client
from afnio.models._structured import json_object

MAX_TRIES: Final = 3
"""How often a critic or judge is asked before its reply counts as unusable."""

TEXT_LIMIT: Final = 12_000
"""Characters of one text shown to the critic; the middle of longer ones is cut."""

PROMPT_LIMIT: Final = 60_000
"""Characters of all texts in one prompt; the longest are cut first."""

LEAST_PROMPT: Final = 1_000
"""What the limit may shrink to for a model that says that the prompt does not fit."""

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Target:
    """One input of the call on which feedback is wanted."""

    name: str
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Criticism:
    """What the critic said of each target, and the exchange it was said in."""

    texts: tuple[str, ...]
    messages: tuple[dict[str, str], ...]
    reply: str


@dataclass(frozen=True, slots=True)
class Case:
    """One sample's call, and what was said about its reply."""

    messages: Sequence[Mapping[str, Any]]
    reply: str
    feedback: str
    reply_role: str


def render_critic(
    case: Case,
    targets: Sequence[Target],
    system: str = CRITIC_SYSTEM,
    limit: int = PROMPT_LIMIT,
) -> Messages:
    """Write the critic's messages; all text of the program is fenced.

    Args:
        case: The call, and the feedback on its reply.
        targets: What feedback is wanted on.
        system: The critic's own instructions.
        limit: Characters of all texts of the program together.
    """
    each = min(TEXT_LIMIT, fair_share(_sizes(case, targets), limit))

    def _fenced(text: str, tag: str) -> str:
        return fence(cut_middle(text, each), tag)

    turns = "\n".join(
        f"{turn['role']}:\n{_fenced(str(turn['content']), 'message')}"
        for turn in case.messages
    )
    wanted = "\n".join(
        fill(
            CRITIC_TARGET,
            {
                "name": target.name,
                "role": shorten(target.role or "an input of the call", 300),
                "text": _fenced(target.text, "input"),
            },
        )
        for target in targets
    )
    user = fill(
        CRITIC_USER,
        {
            "conversation": turns,
            "reply_role": shorten(case.reply_role, 300),
            "reply": _fenced(case.reply, "reply"),
            "feedback": _fenced(case.feedback, "feedback"),
            "targets": wanted,
            "names": ", ".join(f'"{target.name}"' for target in targets),
        },
    )
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": user},
    ]


def _sizes(case: Case, targets: Sequence[Target]) -> list[int]:
    texts = [str(turn["content"]) for turn in case.messages]
    texts += [case.reply, case.feedback, *(target.text for target in targets)]
    return [len(text) for text in texts]


def fair_share(sizes: Sequence[int], limit: int) -> int:
    """Return the size to which the longest must be cut for all to fit in ``limit``."""
    left = limit
    for position, size in enumerate(ordered := sorted(sizes)):
        share = left // (len(ordered) - position)
        if size > share:
            return share
        left -= size
    return limit


def critic_schema(targets: Sequence[Target]) -> dict[str, Any]:
    """Return the response format: one text per target."""
    texts = {target.name: {"type": "string"} for target in targets}
    return object_schema("feedback", texts)


def parse_critic(reply: str | None, targets: Sequence[Target]) -> list[str]:
    """Return the feedback on each target, in order.

    Raises:
        ReplyError: The reply is no JSON object of texts.
        GradientCountError: A target is missing, or one is too many.
    """
    found = json_object(reply)
    names = [target.name for target in targets]
    if set(found) != set(names):
        raise GradientCountError(
            f"the critic returned feedback on {sorted(found)}, expected {names}.",
            reply=reply,
        )
    for name, text in found.items():
        if not isinstance(text, str):
            raise ReplyError(
                f"the feedback on {name!r} must be text, got {shorten(text)}.",
                reply=reply,
            )
    return [found[name].strip() for name in names]


async def acriticize(
    case: Case, targets: Sequence[Target], index: int, system: str = CRITIC_SYSTEM
) -> Criticism:
    """Ask the backward model for feedback on each target.

    Model calls: 1, and up to 2 more while its reply is unusable. A prompt that the
    model refuses as too long is sent again with its texts cut to half.

    Raises:
        StateError: No backward model client is set.
        ContextLengthError: Not even a prompt of `LEAST_PROMPT` characters fits.
        ReplyError: Every reply was unusable; it carries the last one.
        GradientCountError: The last reply had other keys than asked for; likewise.
    """
    client = get_backward_model_client()
    schema = critic_schema(targets)
    limit, attempt = PROMPT_LIMIT, 1
    messages = render_critic(case, targets, system, limit)
    while True:
        try:
            reply = await client.agenerate(
                messages, role="critic", sample_index=index, response_format=schema
            )
        except ContextLengthError:
            limit = min(limit, sum(_sizes(case, targets))) // 2
            if limit < LEAST_PROMPT:
                raise
            messages = render_critic(case, targets, system, limit)
            continue
        try:
            texts = parse_critic(reply.text, targets)
            return Criticism(tuple(texts), tuple(messages), reply.text or "")
        except (ReplyError, GradientCountError) as error:
            if attempt == MAX_TRIES:
                _explain(error, targets)
                raise
            attempt += 1
            messages = [*messages, *repair(reply.text, CRITIC_REPAIR, error)]


def _explain(error: Exception, targets: Sequence[Target]) -> None:
    error.add_note(
        f"The backward model replied unusably {MAX_TRIES} times; feedback was wanted "
        f"on: {', '.join(target.role or target.name for target in targets)}."
    )


def repair(reply: str | None, words: str, error: Exception) -> Messages:
    """Return the turns that show an unusable reply to its model and ask again.

    Args:
        reply: What the model wrote.
        words: Asks again, with the ``{reason}``.
        error: What is wrong with the reply.
    """
    said = reply if reply and reply.strip() else "(no text)"  # providers want some
    return [
        {"role": "assistant", "content": cut_middle(said, TEXT_LIMIT)},
        {"role": "user", "content": fill(words, {"reason": str(error)})},
    ]
