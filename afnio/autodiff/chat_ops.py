"""Chat: the next turn of many conversations at once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from afnio._dispatch import gather
from afnio._text import join_roles
from afnio._variable import Variable
from afnio.autodiff._agent_turn import as_turn, ask
from afnio.autodiff._chat import Sample
from afnio.autodiff._content import filled, map_variables
from afnio.autodiff._credit import Call
from afnio.autodiff._inputs import variables_in
from afnio.autodiff._tool_calls import ToolSpec
from afnio.autodiff._transcript import declared
from afnio.autodiff.agent_ops import declare
from afnio.autodiff.function import FunctionNode, Op
from afnio.autodiff.lm_ops import call_grads, require_client
from afnio.autodiff.op_result import Rows
from afnio.errors import InputValueError, ReplyError
from afnio.models import Reply
from afnio.models._chat_client import ChatClient
from afnio.models._sampling import next_index
from afnio.models._structured import is_class, json_object

__all__ = ["Chat", "ChatSettings"]

_VARIABLES: Final = 1
_DESCRIPTIONS: Final = 3
"""Positions among the arguments."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands for a Variable in a conversation; many may stand for the same."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """What is the same for all samples of one turn."""

    where: tuple[bool, ...]
    """Which samples are asked."""
    tools: tuple[ToolSpec, ...] = ()
    output_format: Any = None
    completion_args: Mapping[str, Any] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)
    """Filled with what each sample was told."""


def slotted(threads: Sequence[Any]) -> tuple[list[Variable], list[Any]]:
    """Return the Variables of conversations, each once, and Slots in their place."""
    found: dict[int, Variable] = {id(v): v for v in variables_in(threads)}
    slots = {key: Slot(number) for number, key in enumerate(found)}
    return list(found.values()), map_variables(threads, lambda v: slots[id(v)])


@dataclass(frozen=True, slots=True)
class _Answer:
    reply: Reply
    text: str
    parsed: Any = None
    error: Exception | None = None


class Chat(Op):
    """Ask a model for the next turn of many conversations at once.

    ``apply(forward_model_client, variables, threads, descriptions, settings)``.

    Args of apply:
        forward_model_client: Any chat client of `afnio.models`.
        variables: The Variables in the conversations, each once.
        threads: One list of messages per sample, with Slots for Variables.
        descriptions: One Variable per tool: what the model is told that it does.
        settings: Which samples are asked, the tools, and completion arguments.

    Shape: a list of N texts for N conversations; None where a sample was not asked.

    Model calls: one per sample that is asked, all at once; backward one critic call per
    sample whose feedback is not empty.
    """

    @staticmethod
    def plan(
        forward_model_client: ChatClient,
        variables: Sequence[Variable],
        threads: Sequence[Any],
        descriptions: Sequence[Variable],
        settings: ChatSettings,
    ) -> tuple[str, ...]:
        """Validate everything that is known before pending values arrive."""
        del threads
        require_client(forward_model_client, "forward_model_client")
        if all(variable.is_ready() for variable in (*variables, *descriptions)):
            _check_batches(variables, len(settings.where))
            declare(settings.tools, descriptions)
        return (_role(variables),)

    @staticmethod
    async def forward(
        ctx: FunctionNode,
        forward_model_client: ChatClient,
        variables: Sequence[Variable],
        threads: Sequence[Any],
        descriptions: Sequence[Variable],
        settings: ChatSettings,
    ) -> Any:
        """Ask all samples at once and return the replies in order."""
        _check_batches(variables, len(settings.where))
        tools = declare(settings.tools, descriptions)
        samples = [
            _rendered(thread, index, variables) if settings.where[index] else None
            for index, thread in enumerate(threads)
        ]
        answer = functools.partial(_answer, forward_model_client, tools, settings)
        answers = await gather(answer(sample) for sample in samples)
        _report(settings.rows, answers, settings.output_format)
        ctx.call = Call(
            variables=(*variables, *descriptions),
            places=(*_places(threads, variables), *(None for _ in descriptions)),
            samples=tuple(
                sample and _seen(sample, declared(tools)) for sample in samples
            ),
            replies=tuple(None if one is None else one.text for one in answers),
            batched=True,
            role=_role(variables),
        )
        ctx.save_for_backward(*ctx.call.variables)
        return list(ctx.call.replies)

    @staticmethod
    async def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Return feedback on every tracked Variable and description."""
        return await call_grads(ctx, grad, (_VARIABLES, _DESCRIPTIONS))


def _role(variables: Sequence[Variable]) -> str:
    return f"reply to {join_roles(v.role for v in variables) or 'a conversation'}"


def _check_batches(variables: Sequence[Variable], size: int) -> None:
    for variable in variables:
        data = variable.data
        if isinstance(data, list) and len(data) != size:
            raise InputValueError(
                f"a Variable in the conversations (role {variable.role!r}) holds "
                f"{len(data)} samples, but there are {size} conversations."
            )


def _rendered(thread: Any, index: int, variables: Sequence[Variable]) -> Sample:
    turns = [
        {
            **message,
            "content": filled(
                _unslotted(message["content"], variables),
                {},
                lambda data: data[index] if isinstance(data, list) else data,
            ),
        }
        for message in thread
    ]
    return Sample(index, tuple(turns), {})


def _unslotted(part: Any, variables: Sequence[Variable]) -> Any:
    if isinstance(part, Slot):
        return variables[part.index]
    if isinstance(part, Mapping):
        return {key: _unslotted(value, variables) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_unslotted(item, variables) for item in part]
    return part


def _places(
    threads: Sequence[Any], variables: Sequence[Variable]
) -> Iterator[int | None]:
    """Tell, per Variable, the one sample that it belongs to, or None for several."""
    users: list[set[int]] = [set() for _ in variables]
    for index, thread in enumerate(threads):
        for slot in _slots(thread):
            users[slot.index].add(index)
    for variable, mine in zip(variables, users, strict=True):
        alone = len(mine) == 1 and not isinstance(variable.data, list)
        yield mine.pop() if alone else None


def _slots(part: Any) -> Iterator[Slot]:
    if isinstance(part, Slot):
        yield part
    elif isinstance(part, (Mapping, list, tuple)):
        for item in part.values() if isinstance(part, Mapping) else part:
            yield from _slots(item)


async def _answer(
    client: ChatClient,
    tools: list[dict[str, Any]],
    settings: ChatSettings,
    sample: Sample | None,
) -> _Answer | None:
    if sample is None:
        return None
    args = {**settings.completion_args, **({"tools": tools} if tools else {})}
    wanted = settings.output_format
    if wanted is not None:
        args["response_format"] = wanted
    turns = [dict(turn) for turn in sample.messages]
    index = next_index(client, turns, args)
    reply, problem = await ask(client, turns, index, args)
    text = reply.text or reply.refusal or ""
    if wanted is None or reply.tool_calls or problem is not None:
        return _Answer(reply, text, error=problem)
    if is_class(wanted):
        return _Answer(reply, text, reply.parsed)
    try:
        return _Answer(reply, text, json_object(reply.text))
    except ReplyError as error:
        return _Answer(reply, text, error=error)


def _seen(sample: Sample, tools: Sequence[dict[str, str]]) -> Sample:
    begun = sample.in_words()
    return Sample(sample.index, (*tools, *begun.messages), {})


def _report(rows: Rows, answers: Sequence[_Answer | None], wanted: Any) -> None:
    turns = [None if one is None else as_turn(one.reply) for one in answers]
    errors = [one and one.error for one in answers]
    rows.fill(
        content=turns,
        stop_reason=[one and one.reply.stop_reason for one in answers],
        parsed=() if wanted is None else [one and one.parsed for one in answers],
        parse_error=errors if any(errors) else None,
        turns=[() if turn is None else (turn,) for turn in turns],
    )
