"""AgentLoop: a model that calls tools until it has an answer, and its backward."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from afnio._dispatch import gather
from afnio._text import join_roles, shorten
from afnio._variable import Variable
from afnio.autodiff import _chat
from afnio.autodiff._agent_prompts import LAST_TURN
from afnio.autodiff._agent_turn import as_turn, ask
from afnio.autodiff._credit import Call
from afnio.autodiff._tool_calls import ToolSpec, run_calls
from afnio.autodiff._transcript import declared, readable
from afnio.autodiff.function import FunctionNode, Op
from afnio.autodiff.lm_ops import call_grads, places_of, prepare, require_client
from afnio.autodiff.op_result import Rows, Turn
from afnio.autodiff.stop_reasons import StopReason
from afnio.errors import InputTypeError
from afnio.models import blocks
from afnio.models._chat_client import ChatClient
from afnio.models._sampling import next_index

__all__ = ["AgentLoop", "LoopSettings"]

_MESSAGES: Final = 1
_INPUTS: Final = 2
_DESCRIPTIONS: Final = 3
"""Positions among the arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """What stays the same through all turns of all samples."""

    tools: tuple[ToolSpec, ...] = ()
    max_turns: int = 10
    """Model calls per sample; in the last one tools are switched off."""
    max_result_chars: int = 20_000
    """Characters of a tool's result; longer ones lose their middle."""
    strict: bool = False
    completion_args: Mapping[str, Any] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)
    """Filled with what happened to each sample."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """How one sample's loop ended."""

    text: str
    stop_reason: str
    turns: tuple[Turn, ...]
    parsed: Any = None
    error: Exception | None = None


class AgentLoop(Op):
    """Ask a model, run the tools it calls, and ask again, until it has an answer.

    ``apply(forward_model_client, messages, inputs, descriptions, settings)``. Returns
    at once; the answers are pending. Every sample of a batch has a loop of its own,
    and none waits for another.

    Args of apply:
        forward_model_client: Any chat client of `afnio.models`.
        messages: As for `afnio.autodiff.lm_ops.ChatCompletion`.
        inputs: As for `afnio.autodiff.lm_ops.ChatCompletion`.
        descriptions: One Variable per tool: what the model is told that it does.
        settings: The tools, limits, and completion arguments.

    Shape: a scalar text, or a list of N if any input or message holds a list of N. A
    missing sample stays None; a sample without any answer is empty text.

    Model calls: up to ``max_turns`` per sample forward, samples at once; backward one
    critic call per sample whose feedback is not empty. It is shown the whole
    conversation, with all calls of tools and what they returned, and gives feedback on
    messages, inputs and tool descriptions.

    Raises:
        InputTypeError: A client, message, input or description of the wrong kind.
        InputValueError: Batches of different lengths, or a message without its keys.
        TemplateError: An input without a placeholder.
    """

    @staticmethod
    def plan(
        forward_model_client: ChatClient,
        messages: Any,
        inputs: Mapping[str, Any] | None,
        descriptions: Sequence[Variable],
        settings: LoopSettings,
    ) -> tuple[str, ...]:
        """Validate everything that is known before pending values arrive."""
        require_client(forward_model_client, "forward_model_client")
        _chat.validate_messages(messages)
        _chat.validate_inputs(inputs)
        _chat.refuse_stray_inputs(messages, settings.completion_args)
        _chat.validate_sequence(descriptions, Variable, "descriptions")
        waiting = [*_chat.variables_of(messages, inputs), *descriptions]
        if all(variable.is_ready() for variable in waiting):
            prepare(messages, inputs, settings.strict)
            declare(settings.tools, descriptions)
        return (_role(messages),)

    @staticmethod
    async def forward(
        ctx: FunctionNode,
        forward_model_client: ChatClient,
        messages: Any,
        inputs: Mapping[str, Any] | None,
        descriptions: Sequence[Variable],
        settings: LoopSettings,
    ) -> Any:
        """Run all samples' loops at once and return the answers in order."""
        size, samples = prepare(messages, inputs, settings.strict)
        tools = declare(settings.tools, descriptions)
        run = functools.partial(_converse, forward_model_client, tools, settings)
        endings = await gather(run(sample) for sample in samples)
        _report(settings.rows, endings)
        ctx.call = Call(
            variables=(*_chat.variables_of(messages, inputs), *descriptions),
            places=(*places_of(messages, inputs), *(None for _ in descriptions)),
            samples=tuple(
                _seen(sample, ending, tools)
                for sample, ending in zip(samples, endings, strict=True)
            ),
            replies=tuple(None if end is None else end.text for end in endings),
            batched=size is not None,
            role=_role(messages),
        )
        ctx.save_for_backward(*ctx.call.variables)
        answers = list(ctx.call.replies)
        return answers if size is not None else answers[0]

    @staticmethod
    async def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Return feedback on every tracked message, input and description."""
        return await call_grads(ctx, grad, (_MESSAGES, _INPUTS, _DESCRIPTIONS))


def _role(messages: Sequence[Mapping[str, Any]]) -> str:
    roles = (part.role for part in _chat.variables_of(messages, None))
    return f"answer to {join_roles(roles) or 'the input messages'}"


def declare(
    tools: Sequence[ToolSpec], descriptions: Sequence[Variable]
) -> list[dict[str, Any]]:
    """Return what the model is told of the tools.

    Raises:
        InputTypeError: A description is not one text.
    """
    told = []
    for spec, description in zip(tools, descriptions, strict=True):
        if not isinstance(description.data, str):
            raise InputTypeError(
                f"the description of the tool {spec.name!r} must be one text, got "
                f"{type(description.data).__name__}: {shorten(description.data)}."
            )
        told.append(spec.declare(description.data))
    return told


async def _converse(
    client: ChatClient,
    tools: list[dict[str, Any]],
    settings: LoopSettings,
    sample: _chat.Sample | None,
) -> _Ending | None:
    """Run one sample's loop."""
    if sample is None:
        return None
    specs = {spec.name: spec for spec in settings.tools}
    args = {**settings.completion_args, **({"tools": tools} if tools else {})}
    turns: list[dict[str, Any]] = [dict(turn) for turn in sample.messages]
    start = len(turns)
    index = next_index(client, sample.messages, args)
    for left in reversed(range(settings.max_turns)):
        if tools and not left:
            args["tool_choice"] = "none"
        reply, error = await ask(client, turns, index, args)
        turns.append(as_turn(reply))
        if reply.stop_reason != StopReason.PAUSE and not reply.tool_calls:
            break
        if left and reply.tool_calls:
            results = await run_calls(reply, specs, settings.max_result_chars)
            turns.append({"role": "user", "content": [*results, *_note(left)]})
    cut = bool(tools or reply.stop_reason == StopReason.PAUSE) and not left
    reason = StopReason.MAX_TURNS.value if cut else reply.stop_reason
    text = reply.text or reply.refusal or ""
    turns[-1] = {**turns[-1], "_stop_reason": reason}
    return _Ending(text, reason, tuple(turns[start:]), reply.parsed, error)


def _note(left: int) -> list[dict[str, Any]]:
    """Tell the model before its last turn."""
    return [blocks.text(LAST_TURN)] if left == 1 else []


def _seen(
    sample: _chat.Sample | None,
    ending: _Ending | None,
    tools: Sequence[Mapping[str, Any]],
) -> _chat.Sample | None:
    """Return a sample as a critic sees it: in words, up to the answer."""
    if sample is None or ending is None:
        return None
    begun = sample.in_words()
    added = map(readable, ending.turns[:-1])
    told = (*declared(tools), *begun.messages, *added)
    return _chat.Sample(sample.index, told, begun.inputs)


def _report(rows: Rows, endings: Sequence[_Ending | None]) -> None:
    """Write down per sample what happened."""
    parsed = [ending and ending.parsed for ending in endings]
    errors = [ending and ending.error for ending in endings]
    rows.fill(
        content=[ending and ending.turns[-1] for ending in endings],
        stop_reason=[ending and ending.stop_reason for ending in endings],
        parsed=parsed if any(item is not None for item in parsed) else (),
        parse_error=errors if any(errors) else None,
        turns=[() if ending is None else ending.turns for ending in endings],
    )
