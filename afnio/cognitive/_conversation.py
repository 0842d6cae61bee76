"""Loops of one's own: ask many conversations at once, run the tools they call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from afnio._dispatch import gather, run_sync
from afnio._text import describe
from afnio._variable import Variable
from afnio.autodiff._tool_calls import run_calls
from afnio.autodiff.chat_ops import Chat, ChatSettings, slotted
from afnio.autodiff.conversations import Conversations
from afnio.autodiff.op_result import OpResult
from afnio.autodiff.reply_ops import Pick, fields_of
from afnio.autodiff.stop_reasons import BoolMask
from afnio.errors import InputTypeError, InputValueError
from afnio.models import Reply, ToolCall, blocks
from afnio.models._chat_client import ChatClient

if TYPE_CHECKING:
    from afnio.cognitive.modules.tool import Tool, Toolbox

    Tools = Iterable[Tool | Callable[..., Any]]

MAX_RESULT_CHARS = 20_000
"""Characters of a tool's result that a model is given."""


def chat(
    forward_model_client: ChatClient,
    conversations: Sequence[Sequence[Mapping[str, Any]]],
    *,
    tools: Tools = (),
    where: BoolMask | Sequence[bool] | None = None,
    output_format: Any = None,
    **completion_args: Any,
) -> OpResult[Any]:
    """Ask a model for the next turn of many conversations at once.

    Args:
        forward_model_client: Any chat client of `afnio.models`.
        conversations: One list of messages per sample; see
            `afnio.cognitive.Conversations`.
        tools: Functions and `afnio.cognitive.Tool` objects that the model may call;
            nothing is run here.
        where: Which samples are asked; all of them where None.
        output_format: A pydantic class or a JSON-schema response format; then
            ``parsed`` and ``fields`` hold what came of it.
        **completion_args: Passed to the client: model, temperature, ….

    Returns:
        The replies: ``output`` is a Variable of one text per sample, pending; append
        the result to the conversations to go on.

    Model calls: one per sample that is asked, all at once.

    Raises:
        MessageError: Something is no conversation.
        InputValueError: ``where``, or a batch in the messages, has another length.

    Examples:
        >>> from afnio.cognitive import Conversations
        >>> from afnio.models.testing import ScriptedModel
        >>> threads = Conversations.start(2, [Variable(["Hi", "Bye"])])
        >>> result = chat(ScriptedModel({"Hi": "Hello", "Bye": "Ciao"}), threads)
        >>> result.output.data
        ['Hello', 'Ciao']
        >>> (result.stop_reason == "end_turn").all()
        True
    """
    threads = _checked(conversations)
    box = _toolbox(tools)
    settings = ChatSettings(
        where=_mask(where, len(threads)),
        tools=tuple(tool.spec() for tool in box),
        output_format=output_format,
        completion_args=completion_args,
    )
    variables, slots = slotted(threads)
    descriptions = [tool.description for tool in box]
    output = Chat.apply(forward_model_client, variables, slots, descriptions, settings)
    found = None if output_format is None else fields_of(output, output_format)
    return OpResult.waiting(output, settings.rows, found)


def run_tools(result: OpResult[Any], tools: Tools) -> OpResult[Any]:
    """Run the tools that replies call; append the result to the conversations.

    Mistakes, exceptions and timeouts are told to the model, as `afnio.cognitive.Agent`
    does.

    Args:
        result: What `chat` returned.
        tools: What it was given.

    Returns:
        Per sample a user message with the results; None for one that called nothing.
    """
    return run_sync(arun_tools(result, tools))


async def arun_tools(result: OpResult[Any], tools: Tools) -> OpResult[Any]:
    """Await what `run_tools` does."""
    _require_results([result], "run_tools")
    await result
    specs = {tool.name: tool.spec() for tool in _toolbox(tools)}

    async def answer(turn: Mapping[str, Any] | None) -> dict[str, Any] | None:
        calls = [b for b in (turn or {}).get("content", ()) if b["type"] == "tool_use"]
        if turn is None or not calls:
            return None
        asked = tuple(
            ToolCall(b["id"], b["name"], b["input"], b.get("_error")) for b in calls
        )
        reply = Reply(None, tool_calls=asked, stop_reason=turn["_stop_reason"])
        content = await run_calls(reply, specs, MAX_RESULT_CHARS)
        return {"role": "user", "content": content}

    turns = await gather(answer(turn) for turn in result.content)
    return OpResult(None, turns, [None] * len(turns))


def last_replies(results: Sequence[OpResult[Any]]) -> Variable:
    """Return every sample's last reply, as one batch that feedback can start from.

    Args:
        results: What `chat` returned, turn by turn.

    Examples:
        >>> from afnio.cognitive import Conversations
        >>> from afnio.models.testing import ScriptedModel
        >>> threads = Conversations.start(2, [Variable("Hi")])
        >>> first = chat(ScriptedModel("a"), threads)
        >>> then = chat(ScriptedModel("b"), threads, where=[False, True])
        >>> last_replies([first, then]).data
        ['a', 'b']
    """
    _require_results(results, "last_replies")
    asked = [item for item in results if isinstance(item.output, Variable)]
    if not asked:
        raise InputValueError("last_replies needs results of chat(), got none.")
    choice = [
        max((n for n, item in enumerate(asked) if item.content[sample]), default=None)
        for sample in range(len(asked[0]))
    ]
    picked: Variable = Pick.apply([item.output for item in asked], choice)
    return picked


def _toolbox(tools: Tools) -> Toolbox:
    from afnio.cognitive.modules.tool import Toolbox  # modules stand on functions

    return Toolbox(tools)


def _require_results(results: Any, name: str) -> None:
    for item in results if isinstance(results, (list, tuple)) else [results]:
        if not isinstance(item, OpResult):
            raise InputTypeError(
                f"{name} takes what chat() returned, got {describe(item)}."
            )


def _checked(conversations: Any) -> Conversations:
    threads = Conversations(conversations)
    for sample, thread in enumerate(threads):
        if not thread:
            raise blocks.MessageError(f"conversation {sample} has no messages.")
    return threads


def _mask(where: Any, size: int) -> tuple[bool, ...]:
    if where is None:
        return (True,) * size
    if not isinstance(where, (BoolMask, list, tuple)):
        raise InputTypeError(
            f"where must be a BoolMask or a list of bools, got {describe(where)}."
        )
    mask = tuple(bool(item) for item in where)
    if len(mask) != size:
        raise InputValueError(
            f"where has {len(mask)} entries, but there are {size} conversations."
        )
    return mask
