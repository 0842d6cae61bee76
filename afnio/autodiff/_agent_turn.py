"""One turn of a conversation: ask, and turn the reply into a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from afnio._text import cut_middle
from afnio.autodiff._tool_calls import identified
from afnio.errors import ContextLengthError, ReplyError
from afnio.models import Reply, blocks
from afnio.models._chat_client import ChatClient

LEAST_RESULT: Final = 1_000
"""Characters below which a tool's result is not cut any more."""

Turn = dict[str, Any]


async def ask(
    client: ChatClient, turns: list[Turn], index: int, args: Mapping[str, Any]
) -> tuple[Reply, ReplyError | None]:
    """Return the next reply, and what is wrong with its format, if anything.

    A conversation that the model refuses as too long is sent again with its longest
    tool results cut to half, in ``turns`` too, as often as that helps.

    Raises:
        ContextLengthError: It is too long without results that could be cut.
        ModelError: The call failed for good.

    Model calls: 1, and one for each time it was too long.
    """
    while True:
        try:
            reply = await client.agenerate(
                list(turns), role="forward", sample_index=index, **args
            )
        except ContextLengthError:
            if not _shorten_results(turns):
                raise
        except ReplyError as error:
            if args.get("response_format") is None:
                raise
            return Reply(error.reply or ""), error
        else:
            return identified(reply), None


def as_turn(reply: Reply) -> Turn:
    """Return a reply as a turn of a conversation, to be sent back."""
    turn = blocks.assistant(reply)
    errors = {call.id: call.error for call in reply.tool_calls if call.error}
    for block in turn["content"]:
        if block.get("id") in errors:
            block["_error"] = errors[block["id"]]
    if not turn["content"]:
        turn["content"] = [blocks.text("(no answer)")]  # no provider takes none
    return {**turn, "_stop_reason": reply.stop_reason}


def _shorten_results(turns: list[Turn]) -> bool:
    """Cut the longest tool results to half; say whether there was anything to cut."""
    size = max((len(text) for *_, text in _results(turns)), default=0)
    if size <= LEAST_RESULT:
        return False
    keep = max(LEAST_RESULT, size // 2)
    for turn, position, text in list(_results(turns)):
        if len(text) > keep:
            content = list(turns[turn]["content"])
            content[position] = {**content[position], "content": cut_middle(text, keep)}
            turns[turn] = {**turns[turn], "content": content}
    return True


def _results(turns: list[Turn]) -> Iterator[tuple[int, int, str]]:
    """Yield the tool results that are text: turn, position there, and text."""
    for number, turn in enumerate(turns):
        if not isinstance(turn["content"], list):
            continue
        for position, block in enumerate(turn["content"]):
            if block["type"] == blocks.TOOL_RESULT and isinstance(
                block["content"], str
            ):
                yield number, position, block["content"]
