"""Running the tools that a model calls; whatever goes wrong is told to the model.

A tool's mistake, a wrong argument or a name that does not exist is the model's to deal
with, so it becomes the call's result. Only what concerns the whole program is raised: a
budget that is spent, a missing recording, an interrupt.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, TypeVar

from afnio._dispatch import gather
from afnio._text import closest, cut_middle, fill, shorten
from afnio._variable import Variable
from afnio.autodiff._agent_prompts import (
    ATTACHED,
    ATTACHMENT,
    BAD_ARGUMENTS,
    CUT_OFF,
    NO_RESULT,
    TOO_MANY,
    TOOL_FAILED,
    TOOL_TIMED_OUT,
    UNKNOWN_TOOL,
)
from afnio.errors import (
    AuthError,
    BudgetError,
    CancelledError,
    InputValueError,
    LoopError,
    ReplayMissError,
)
from afnio.models import Reply, ToolCall, blocks

T = TypeVar("T")

MAX_CALLS: Final = 32
"""Calls of tools in one reply that are run."""

_ERROR_CHARS: Final = 1_000
"""Characters of a tool's error that the model is told."""

_FATAL: Final = (
    AuthError,
    BudgetError,
    CancelledError,
    LoopError,
    ReplayMissError,
)
"""What a tool may raise that is not the model's to deal with."""

Block: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the loop needs it; its description is a Variable, kept apart."""

    name: str
    parameters: Mapping[str, Any]
    """JSON schema of the arguments."""
    check: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """Returns the arguments, converted; raises `InputValueError`."""
    run: Callable[[Mapping[str, Any]], Awaitable[Any]]
    """Runs the tool; raises `GaveUp` if that takes too long, or what the tool does."""

    def declare(self, description: str) -> dict[str, Any]:
        """Return what the model is told of the tool."""
        return {
            "name": self.name,
            "description": description,
            "parameters": dict(self.parameters),
        }


async def run_calls(
    reply: Reply, specs: Mapping[str, ToolSpec], max_chars: int
) -> list[Block]:
    """Run all calls of a reply at once; return one result block each, in order.

    Images and documents among the results follow all of them, since not every provider
    takes them inside a result.
    """
    cut_off = reply.stop_reason == "max_tokens"

    async def result(position: int, call: ToolCall) -> Block:
        if position >= MAX_CALLS:
            said: Any = _Failure(fill(TOO_MANY, {"limit": MAX_CALLS}))
        elif cut_off:
            said = _Failure(fill(CUT_OFF, {"name": call.name}))
        else:
            said = await _run(call, specs, max_chars)
        if isinstance(said, _Failure):
            return blocks.tool_result(call.id, said.text, is_error=True)
        return blocks.tool_result(call.id, said)

    return _attached(
        await gather(
            result(position, call) for position, call in enumerate(reply.tool_calls)
        )
    )


def _attached(results: list[Block]) -> list[Block]:
    """Move media out of the results, behind them."""
    behind: list[Block] = []
    for result in results:
        if isinstance(result["content"], str):
            continue
        for position, block in enumerate(result["content"]):
            if block["type"] != blocks.TEXT:
                facts = {"kind": block["type"], "number": len(behind) // 2 + 1}
                result["content"][position] = blocks.text(fill(ATTACHED, facts))
                behind += [blocks.text(fill(ATTACHMENT, facts)), block]
    return [*results, *behind]


def identified(reply: Reply) -> Reply:
    """Return a reply whose calls have ids; some servers give none."""
    if all(call.id for call in reply.tool_calls):
        return reply
    calls = (
        replace(call, id=call.id or f"call_{position}")
        for position, call in enumerate(reply.tool_calls)
    )
    return replace(reply, tool_calls=tuple(calls), blocks=())


@dataclass(frozen=True, slots=True)
class _Failure:
    """What the model is told instead of a result."""

    text: str


async def _run(
    call: ToolCall, specs: Mapping[str, ToolSpec], max_chars: int
) -> str | list[Block] | _Failure:
    spec = specs.get(call.name)
    if spec is None:
        name = repr(shorten(call.name))
        return _Failure(
            fill(UNKNOWN_TOOL, {"name": name, "hint": closest(call.name, specs)})
        )
    try:
        if call.error:
            raise InputValueError(call.error)  # noqa: TRY301 - one way to tell it
        arguments = spec.check(call.arguments)
    except InputValueError as problem:
        told = cut_middle(str(problem), _ERROR_CHARS)
        return _Failure(fill(BAD_ARGUMENTS, {"name": spec.name, "problems": told}))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's own validator failed
        return _failure(spec.name, error)
    return await _result(spec, arguments, max_chars)


async def _result(
    spec: ToolSpec, arguments: Mapping[str, Any], max_chars: int
) -> str | list[Block] | _Failure:
    """Await the tool's result, or say why there is none."""
    try:
        return as_content(await spec.run(arguments), max_chars)
    except _FATAL:
        raise
    except GaveUp as late:
        facts = {"name": spec.name, "seconds": f"{late.timeout_s:g}"}
        return _Failure(fill(TOOL_TIMED_OUT, facts))
    except asyncio.CancelledError as error:
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise  # we are cancelled, and not something inside the tool
        return _failure(spec.name, error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - told to the model, whose call it was
        return _failure(spec.name, error)


def _failure(name: str, error: BaseException) -> _Failure:
    what = type(error).__name__ + (f": {error}" if str(error) else "")
    told = {"name": name, "error": _clean(cut_middle(what, _ERROR_CHARS))}
    return _Failure(fill(TOOL_FAILED, told))


class GaveUp(Exception):  # noqa: N818 - it never leaves the loop
    """A tool took longer than it may."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self.timeout_s = timeout_s


async def within(timeout_s: float | None, work: Awaitable[T]) -> T:
    """Await ``work``, but no longer than ``timeout_s`` seconds.

    Raises:
        GaveUp: It took longer.
    """
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise GaveUp(timeout_s or 0.0) from None
        raise


def as_content(result: Any, max_chars: int) -> str | list[Block]:
    """Return a tool's result as text, or as blocks if it is blocks.

    Args:
        result: Text, a Variable, blocks, a pydantic object, or anything JSON has a word
            for; of other objects their ``str``.
        max_chars: Longer text loses its middle, and says so.
    """
    if isinstance(result, Variable):
        result = result.data
    if _is_block(result):
        result = [result]
    if isinstance(result, (list, tuple)) and result and all(map(_is_block, result)):
        return [_cut(block, max_chars) for block in result]
    return _clean(cut_middle(_as_text(result), max_chars))


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") in (
        "text",
        "image",
        "document",
    )


def _cut(block: Mapping[str, Any], max_chars: int) -> Block:
    if block["type"] != "text":
        return dict(block)
    return {**block, "text": _clean(cut_middle(str(block.get("text", "")), max_chars))}


def _clean(text: str) -> str:
    """Write what UTF-8 has no form for, such as half a surrogate pair, as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _as_text(result: Any) -> str:
    if result is None:
        return NO_RESULT
    if isinstance(result, str):
        return result
    if callable(dump := getattr(result, "model_dump_json", None)):
        return str(dump())
    if isinstance(result, (Mapping, Sequence, bool, int, float)) and not isinstance(
        result, (bytes, bytearray)
    ):
        return json.dumps(result, ensure_ascii=False, default=str)
    return str(result)
