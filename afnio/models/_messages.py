"""What goes to a model and what comes back: frozen values, no provider's payload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError
from afnio.models._known_args import ROLES, check_names, check_role
from afnio.models._usage import Usage
from afnio.models.blocks import PROVIDER, ContentBlockError, check_keys

Message: TypeAlias = Mapping[str, Any]
"""``{"role": …, "content": text or a list of blocks}``; see `afnio.models.blocks`."""

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
    error: str | None = None
    """Why the arguments cannot be read, for the model; they are ``{}`` then."""


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

    blocks: tuple[Mapping[str, Any], ...] = field(default=(), kw_only=True)
    """The reply as content blocks, where they hold more than the fields here, such as
    signatures of thinking; `afnio.models.blocks.assistant` reads them."""

    usage: Usage = field(default_factory=Usage, kw_only=True)
    """What this call cost; nothing if the reply came from a cache."""

    request_id: str | None = field(default=None, kw_only=True)

    model: str | None = field(default=None, kw_only=True)
    """The model that answered, as the provider names it."""

    cached: bool = field(default=False, kw_only=True)
    """Whether it came from a cache or a recording."""

    batched: bool = field(default=False, kw_only=True)
    """Whether it came from a provider's batch API, at half the price."""


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


_COUNTS: Final = ("max_completion_tokens", "max_tokens", "n")
"""Arguments that are whole numbers wherever they stand."""


def check_arguments(args: Mapping[str, Any]) -> None:
    """Raise if arguments of a call, or of its ``extra_body``, cannot be meant.

    Raises:
        InputTypeError: One is of another kind, or nearly has a known name.
        InputValueError: Several replies are asked for.
    """
    check_names(args)
    for name in ("extra_body", "extra_headers", "extra_query"):
        value = args.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise InputTypeError(
                f"{name} is {type(value).__name__}; expected a dict of names and "
                "values."
            )
    for given in (args, args.get("extra_body") or {}):
        for name in _COUNTS:
            _check_count(name, given.get(name))
        if (given.get("n") or 1) != 1:
            raise InputValueError(
                f"n={given['n']}: one call returns one reply; ask again with another "
                "sample_index for more."
            )


def _check_count(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InputTypeError(f"{name} is {type(value).__name__}; expected an int.")


_PLAIN: Final = 2
"""Keys of a message of plain text."""


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
        is_mapping = type(message) is dict or isinstance(message, Mapping)
        if not is_mapping or "role" not in message:
            raise InputTypeError(
                f"messages[{index}] is not a message; expected a dict with 'role' and "
                "'content'."
            )
        if type(message["role"]) is not str or message["role"] not in ROLES:
            check_role(index, message["role"])
    return tuple(_checked(message, index) for index, message in enumerate(messages))


def _checked(message: Message, index: int) -> dict[str, Any]:
    """Copy a message without what is for afnio only: keys that start with ``_``."""
    if len(message) == _PLAIN and isinstance(message.get("content"), str):
        return dict(message)  # most messages are a role and a text
    copy = {k: v for k, v in message.items() if not str(k).startswith("_")}
    if isinstance(content := copy.get("content"), (list, tuple)):
        try:
            copy["content"] = _checked_blocks(content)
        except ContentBlockError as error:
            raise ContentBlockError(f"messages[{index}]: {error}") from error
    return copy


def _checked_blocks(content: Sequence[Any]) -> list[Any]:
    return [
        block if isinstance(block, str) else _checked_block(block, position)
        for position, block in enumerate(content)
    ]


def _checked_block(block: Any, position: int) -> dict[str, Any]:
    if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
        raise ContentBlockError(
            f"content[{position}] is {type(block).__name__}: {shorten(block)!r}; "
            "expected text or a dict with a 'type'."
        )
    try:
        check_keys(block)
    except ContentBlockError as error:
        raise ContentBlockError(f"content[{position}]: {error}") from error
    if block["type"] == PROVIDER:
        return dict(block)
    copy = {k: v for k, v in block.items() if not str(k).startswith("_")}
    if isinstance(inner := copy.get("content"), (list, tuple)):
        copy["content"] = _checked_blocks(inner)
    return copy
