"""From a parameter, its gradients and a group's options to a task for the rewriter."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff.evidence import Evidence
from afnio.errors import InputTypeError, InputValueError
from afnio.models._chat_client import ChatClient
from afnio.models._roles import get_backward_model_client
from afnio.optim._options import RewriteOptions
from afnio.optim._prompts import SYSTEM, USER, Task
from afnio.optim._scores import asettle

Buffer = list[tuple[Variable, list[Variable]]]
"""Momentum: values before updates, and the gradients that led to them."""


def default_messages() -> list[dict[str, Any]]:
    """Return the messages that ask for a rewrite, as Variables."""
    name = "Textual Gradient Descent optimizer"
    return [
        {"role": "system", "content": [Variable(SYSTEM, f"{name} system prompt")]},
        {"role": "user", "content": [Variable(USER, f"{name} user prompt")]},
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A parameter group's options, checked."""

    client: ChatClient
    turns: tuple[tuple[str, str], ...]
    inputs: Mapping[str, str]
    constraints: tuple[str, ...]
    momentum: int
    completion_args: Mapping[str, Any] = field(default_factory=dict)


def check_settings(group: Mapping[str, Any]) -> None:
    """Raise if a group's options are of the wrong kind.

    Raises:
        InputTypeError: Naming the option.
        InputValueError: A momentum window below 0, or no messages.
    """
    client, momentum = group["model_client"], group["momentum"]
    if client is not None and not callable(getattr(client, "agenerate", None)):
        raise InputTypeError(
            "model_client must be a chat client of afnio.models, got "
            f"{type(client).__name__}."
        )
    if isinstance(momentum, bool) or not isinstance(momentum, int):
        raise InputTypeError(
            f"momentum is a window of steps, an int; got {type(momentum).__name__}."
        )
    if momentum < 0:
        raise InputValueError(f"momentum is {momentum}; expected 0 or more steps.")
    if not isinstance(group["inputs"] or {}, Mapping):
        raise InputTypeError(f"inputs must be a dict, got {shorten(group['inputs'])}.")
    if not isinstance(group["completion_args"], Mapping):
        raise InputTypeError("completion_args must be a dict of arguments.")
    _constraints(group["constraints"])
    _turns(group["messages"])


async def settings_of(group: Mapping[str, Any]) -> Settings:
    """Read a group's options as they are now; waits for pending Variables."""
    check_settings(group)
    constraints, inputs = (
        _constraints(group["constraints"]),
        dict(group["inputs"] or {}),
    )
    turns = _turns(group["messages"])
    await asettle([constraints, inputs, [parts for _, parts in turns]])
    client = group["model_client"]
    return Settings(
        client=get_backward_model_client() if client is None else client,
        turns=tuple((role, "\n".join(map(_text, parts))) for role, parts in turns),
        inputs={name: _text(value) for name, value in inputs.items()},
        constraints=tuple(_text(item) for item in constraints),
        momentum=group["momentum"],
        completion_args=dict(group["completion_args"]),
    )


def listed(constraints: Any) -> list[Any]:
    """Return constraints as a list, which is read again at every step.

    Raises:
        InputTypeError: They are no texts or Variables.
    """
    return _constraints(constraints)


def _constraints(value: Any) -> list[Any]:
    if isinstance(value, (str, Variable)):
        return [value]
    if value is not None and not isinstance(value, Iterable):
        raise InputTypeError(
            "constraints must be texts or Variables in a list, got "
            f"{type(value).__name__}: {shorten(value)}."
        )
    found = list(value or ())
    for item in found:
        if not isinstance(item, (str, Variable)):
            raise InputTypeError(
                "constraints must be texts or Variables, got "
                f"{type(item).__name__}: {shorten(item)}."
            )
    return found


def _turns(messages: Any) -> list[tuple[str, list[Any]]]:
    if not isinstance(messages, (list, tuple)) or not messages:
        raise InputTypeError(
            "messages must be a list of {'role': str, 'content': [Variable, ...]}, got "
            f"{shorten(messages)}."
        )
    turns = []
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or not {"role", "content"} <= set(message):
            raise InputTypeError(
                f"messages[{index}] must be a dict with 'role' and 'content', got "
                f"{shorten(message)}."
            )
        content = message["content"]
        if not isinstance(content, (str, Variable, list, tuple)):
            raise InputTypeError(
                f"the content of messages[{index}] must be a list of Variables, got "
                f"{type(content).__name__}: {shorten(content)}."
            )
        parts = [content] if isinstance(content, (str, Variable)) else list(content)
        turns.append((message["role"], parts))
    return turns


def _text(value: Any) -> str:
    data = value.data if isinstance(value, Variable) else value
    if data is None or isinstance(data, (list, tuple, Mapping)):
        raise InputTypeError(
            "messages, inputs and constraints of an optimizer hold single texts, got "
            f"{type(data).__name__}: {shorten(data)}."
        )
    return str(data)


def label_of(param: Variable) -> str:
    """Return what prompts and records call a parameter."""
    return str(getattr(param, "label", None) or param.role or "")


def text_of(param: Variable) -> str:
    """Return a parameter's text.

    Raises:
        InputTypeError: It holds something else.
    """
    if not isinstance(param.data, str):
        raise InputTypeError(
            f"TGD rewrites text; the parameter with role {shorten(param.role)!r} holds "
            f"{type(param.data).__name__}. Leave it out, or use another optimizer."
        )
    return param.data


def said_in(gradients: Iterable[Variable]) -> tuple[str, ...]:
    """Return what gradients say, without the empty ones and without repetition."""
    found: dict[str, None] = {}
    for gradient in gradients:
        for text in _leaves(gradient.data):
            if text.strip():
                found[text] = None
    return tuple(found)


def _leaves(data: Any) -> Iterable[str]:
    if isinstance(data, list):
        for item in data:
            yield from _leaves(item)
    elif data is not None:
        yield str(data)


def split_evidence(
    gradients: Iterable[Variable], options: RewriteOptions | None = None
) -> tuple[tuple[Evidence, ...], tuple[Evidence, ...]]:
    """Return failing and successful samples, each once; as many as the options show."""
    failures: list[Evidence] = []
    successes: list[Evidence] = []
    known: dict[Any, list[Evidence]] = {}
    for gradient in gradients:
        for record in gradient.evidence:
            alike = known.setdefault(_run_hash(record), [])
            if not any(_same_run(record, other) for other in alike):
                alike.append(record)
                (successes if record.success else failures).append(record)
    if options is not None:
        del failures[options.failures :], successes[options.successes :]
    return tuple(failures), tuple(successes)


def _run_hash(record: Evidence) -> Any:
    """Return what is the same for the same run, and mostly another for another."""
    run = (record.success, record.index)
    try:
        said = frozenset(record.inputs.items()), record.output, record.target
        return run, hash(said)
    except TypeError:  # lists among them
        return run


def _same_run(one: Evidence, other: Evidence) -> bool:
    return (
        one.index == other.index
        and one.inputs == other.inputs
        and one.output == other.output
        and one.target == other.target
    )


def task_of(
    param: Variable,
    gradients: Sequence[Variable],
    buffer: Buffer,
    settings: Settings,
    options: RewriteOptions,
) -> Task:
    """Put together what is known about a parameter; everything is ready by now.

    Feedback that a frozen parameter still has from before counts for nothing.
    """
    gradients = gradients if param.requires_grad else ()
    failures, successes = split_evidence(gradients, options)
    earlier = (
        buffer[len(buffer) - settings.momentum + 1 :] if settings.momentum > 1 else []
    )
    return Task(
        current=text_of(param),
        role=label_of(param),
        feedback=said_in(gradients),
        failures=failures,
        successes=successes,
        history=tuple((str(old.data), said_in(grads)) for old, grads in earlier),
        constraints=(*settings.constraints, *getattr(param, "constraints", ())),
        turns=settings.turns,
        inputs=settings.inputs,
        max_length=getattr(param, "max_length", None) or options.max_length,
        frozen=tuple(getattr(param, "frozen", ())),
        seen=tuple(record for grad in gradients for record in grad.evidence),
        check=getattr(param, "check_data", None),
        options=options,
    )


def remember(
    buffer: Buffer, param: Variable, gradients: Sequence[Variable], momentum: int
) -> Buffer:
    """Return a momentum buffer that also holds the value before an update."""
    if not momentum:
        return []
    old = copy.deepcopy(param, {id(param.grad): []})  # its gradients stay behind
    return [*buffer, (old, list(gradients))][-momentum:]
