"""What goes to a model and what comes back: frozen values, no provider's payload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from afnio.errors import InputTypeError, InputValueError
from afnio.models._usage import Usage

Message: TypeAlias = Mapping[str, Any]
"""``{"role": …, "content": text or a list of blocks}``, as OpenAI's chat API has it."""

Messages: TypeAlias = Sequence[Message]

Kind: TypeAlias = Literal["chat", "completion", "embedding"]

STOP_REASONS = (
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "refusal",
    "content_filter",
    "pause",
)
"""Why a model stopped. A provider's unknown reason is passed on verbatim."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants called, with its arguments."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a model."""

    text: str | None
    """The answer; None for a refusal or a pure tool call."""

    parsed: Any = field(default=None, kw_only=True)
    """The object asked for with ``response_format``, if one was."""

    refusal: str | None = field(default=None, kw_only=True)
    """The words of a refusal, where the provider keeps them apart from an answer."""

    tool_calls: tuple[ToolCall, ...] = field(default=(), kw_only=True)

    stop_reason: str = field(default="end_turn", kw_only=True)
    """One of `STOP_REASONS`, or the provider's own word."""

    reasoning: str | None = field(default=None, kw_only=True)
    """Thinking the provider showed; never part of ``text``."""

    usage: Usage = field(default_factory=Usage, kw_only=True)
    """What this call cost; nothing if the reply came from a cache."""

    request_id: str | None = field(default=None, kw_only=True)

    model: str | None = field(default=None, kw_only=True)
    """The model that answered, as the provider names it."""

    cached: bool = field(default=False, kw_only=True)
    """Whether it came from a cache or a recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to a model, before it is put in a provider's words."""

    messages: tuple[Message, ...]
    args: Mapping[str, Any] = field(default_factory=dict)
    """Completion arguments: model, temperature, response_format, …."""

    role: str = "forward"
    """Who asks: ``forward``, ``judge``, ``critic``, ``optimizer`` or ``test``."""

    sample_index: int = 0
    """Distinguishes repeated samples of one question."""

    kind: Kind = "chat"

    @property
    def model(self) -> str | None:
        """The model asked for, if the arguments name one."""
        name = self.args.get("model")
        return None if name is None else str(name)


def checked(messages: Any) -> tuple[Message, ...]:
    """Copy ``messages``; refuse what no provider could read."""
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(
        messages, Sequence
    ):
        raise InputTypeError(
            f"messages is {type(messages).__name__}; expected a list of "
            '{"role": …, "content": …} dicts.'
        )
    if not messages:
        raise InputValueError("messages is empty; expected at least one message.")
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or "role" not in message:
            raise InputTypeError(
                f"messages[{index}] is not a message; expected a dict with 'role' and "
                "'content'."
            )
    return tuple(dict(message) for message in messages)
