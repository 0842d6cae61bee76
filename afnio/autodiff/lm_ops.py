"""ChatCompletion: a model call, and its textual backward."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from afnio._dispatch import gather
from afnio._text import join_roles
from afnio._variable import Pending, Variable
from afnio.autodiff import _chat
from afnio.autodiff._credit import Call, aassign
from afnio.autodiff.function import FunctionNode, Op
from afnio.errors import InputTypeError
from afnio.models._chat_client import ChatClient
from afnio.models._sampling import next_index

_MESSAGES: Final = 1
_INPUTS: Final = 2
"""Positions among the arguments."""


class ChatCompletion(Op):
    """Ask a model to continue a conversation made of Variables.

    ``apply(forward_model_client, messages, inputs=None, strict=False,
    **completion_args)``. Returns at once; the reply is pending.

    Args of apply:
        forward_model_client: Any chat client of `afnio.models`.
        messages: ``[{"role": str, "content": [Variable, …]}, …]``. A message with the
            role ``demonstrations`` stands for worked examples of the message after it.
        inputs: Values of ``{placeholders}``: text, a Variable, or a list of them.
        strict: Also refuse a placeholder that has no input.
        **completion_args: Passed to the client unchanged.

    Shape: a scalar text, or a list of N if any input or message holds a list of N;
    scalars are broadcast, and a missing sample (None) stays None.

    Model calls: N forward, all at once; backward one critic call per sample whose
    feedback is not empty, which returns the feedback on all tracked inputs.

    Raises:
        InputTypeError: A client, message or input of the wrong kind.
        InputValueError: Batches of different lengths, or a message without its keys.
        TemplateError: An input without a placeholder; with ``strict``, the reverse.
    """

    @staticmethod
    def plan(
        forward_model_client: ChatClient,
        messages: Any,
        inputs: Mapping[str, Any] | None = None,
        strict: bool = False,
        **completion_args: Any,
    ) -> tuple[str, ...]:
        """Validate everything that is known before pending values arrive."""
        require_client(forward_model_client, "forward_model_client")
        _chat.validate_messages(messages)
        _chat.validate_inputs(inputs)
        _chat.refuse_stray_inputs(messages, completion_args)
        if not any(_is_pending(item) for item in _chat.variables_of(messages, inputs)):
            prepare(messages, inputs, strict)
        return (f"response to {_roles(messages)}",)

    @staticmethod
    async def forward(
        ctx: FunctionNode,
        forward_model_client: ChatClient,
        messages: Any,
        inputs: Mapping[str, Any] | None = None,
        strict: bool = False,
        **completion_args: Any,
    ) -> Any:
        """Send every sample at once and return the replies in order."""
        size, samples = prepare(messages, inputs, strict)

        async def ask(sample: _chat.Sample | None) -> str | None:
            if sample is None:
                return None
            reply = await forward_model_client.agenerate(
                [dict(turn) for turn in sample.messages],
                role="forward",
                sample_index=next_index(
                    forward_model_client, sample.messages, completion_args
                ),
                **completion_args,
            )
            text: str | None = reply.text
            return text

        replies = await gather(ask(sample) for sample in samples)
        ctx.call = Call(
            variables=tuple(_chat.variables_of(messages, inputs)),
            places=places_of(messages, inputs),
            samples=tuple(sample and sample.in_words() for sample in samples),
            replies=tuple(replies),
            batched=size is not None,
            role=f"response to {_roles(messages)}",
        )
        ctx.save_for_backward(*ctx.call.variables)
        return replies if size is not None else replies[0]

    @staticmethod
    async def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Return feedback on every tracked message and input."""
        return await call_grads(ctx, grad, positions=(_MESSAGES, _INPUTS))


async def call_grads(
    ctx: FunctionNode, grad: Variable, positions: tuple[int, ...]
) -> tuple[Any, ...]:
    """Return what a critic says about the model call that is saved as ``ctx.call``."""
    assert ctx.saved_variables is not None  # raises if a leaf has changed
    grads_of = functools.partial(aassign, ctx.call, grad)
    return await place_grads(ctx, grads_of, positions)


async def place_grads(
    ctx: FunctionNode,
    grads_of: Callable[[list[bool]], Awaitable[list[Variable | None]]],
    positions: tuple[int, ...],
) -> tuple[Any, ...]:
    """Return gradients in the shape of forward's arguments.

    Args:
        ctx: The operation's node.
        grads_of: Gives the gradients of the Variables at ``positions``, told which of
            them are tracked.
        positions: The arguments that hold Variables which may receive feedback.
    """
    sizes = [abs(count) for count in ctx._counts]
    starts = list(itertools.accumulate(sizes, initial=0))
    tracked = [edge.node is not None for edge in ctx.next_functions]
    flags = [
        flag
        for position in positions
        if position < len(sizes)
        for flag in tracked[starts[position] : starts[position + 1]]
    ]
    left = iter(await grads_of(flags))
    return tuple(
        tuple(itertools.islice(left, size)) if position in positions else None
        for position, size in enumerate(sizes)
    )


def require_client(client: Any, name: str) -> None:
    """Raise unless ``client`` can be asked for a chat completion."""
    if not callable(getattr(client, "agenerate", None)):
        raise InputTypeError(
            f"{name} must be a chat model client of afnio.models (a subclass of "
            f"ChatCompletionModel), got {type(client).__name__}."
        )


def _is_pending(variable: Variable) -> bool:
    return type(variable._value) is Pending


def _roles(messages: Sequence[Mapping[str, Any]]) -> str:
    roles = (part.role for part in _chat.variables_of(messages, None))
    return join_roles(roles) or "the input messages"


def prepare(
    messages: Any, inputs: Mapping[str, Any] | None, strict: bool
) -> tuple[int | None, list[_chat.Sample | None]]:
    """Return the batch's size, if it is one, and every sample ready to be sent."""
    columns = {name: _chat.column(value) for name, value in (inputs or {}).items()}
    size = _chat.batch_size(messages, columns)
    _chat.check_placeholders(messages, list(columns), strict)
    return size, _chat.render(messages, columns, size)


def places_of(
    messages: Any, inputs: Mapping[str, Any] | None
) -> tuple[int | None, ...]:
    """Tell, per flat Variable, the one sample it belongs to, or None for all."""
    places: list[int | None] = [None for _ in _chat.variables_of(messages, None)]
    for value in (inputs or {}).values():
        if isinstance(value, Variable):
            places.append(None)
        elif isinstance(value, (list, tuple)):
            places += [i for i, item in enumerate(value) if isinstance(item, Variable)]
    return tuple(places)
