"""Conversations: a batch of conversations, turn by turn, for loops of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff._content import validate_content
from afnio.autodiff.op_result import OpResult
from afnio.autodiff.stop_reasons import StopReasonView, last_stop_reason
from afnio.errors import InputTypeError, InputValueError
from afnio.models import blocks

__all__ = ["Conversations"]

Message: TypeAlias = dict[str, Any]


class Conversations(list[list[Message]]):
    """One list of messages per sample; a message has a role and a list of blocks.

    A text block may hold a Variable, which receives feedback; a Variable alone stands
    for a text block. A batched Variable gives every sample its own text.

    Args:
        threads: The conversations so far, one list of messages per sample. Each gets
            lists of its own.

    Raises:
        MessageError: Something is no message.
        ContentBlockError: Something in a message is no content.

    Examples:
        >>> from afnio.models import blocks
        >>> threads = Conversations.start(2, [blocks.text("Hi")])
        >>> threads.append({"role": "assistant", "content": [blocks.text("Hello")]})
        >>> [len(thread) for thread in threads]
        [2, 2]
    """

    def __init__(self, threads: Iterable[Iterable[Mapping[str, Any]]] = ()) -> None:
        if isinstance(threads, (str, Mapping)) or not isinstance(threads, Iterable):
            raise blocks.MessageError(
                "Conversations take one list of messages per sample, got "
                f"{type(threads).__name__}."
            )
        super().__init__(
            [checked(message, f"[{sample}][{turn}]") for turn, message in enumerate(t)]
            for sample, t in enumerate(map(_as_thread, threads))
        )

    @classmethod
    def start(
        cls,
        size: int,
        user: Variable | str | Sequence[Any],
        system: Variable | str | Sequence[Any] = (),
    ) -> Conversations:
        """Return ``size`` conversations that begin alike.

        Args:
            size: How many samples.
            user: The first user message: a text, a Variable, or a list of Variables
                and blocks. A batched Variable gives every sample its own text.
            system: The system message, likewise; none if empty.

        Raises:
            InputValueError: ``size`` is no number of samples.
            ContentBlockError: Something in a message is no content.
        """
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise InputValueError(f"size must be an int, 0 or more, got {size!r}.")
        turns = [
            {"role": role, "content": _as_content(content)}
            for role, content in (("system", system), ("user", user))
            if role == "user" or isinstance(content, Variable) or content
        ]
        return cls([turns] * size)

    def append(self, item: OpResult[Any] | Mapping[str, Any]) -> None:  # type: ignore[override]
        """Add a turn to every conversation.

        Args:
            item: What `afnio.cognitive.functional.chat` returned: each sample's
                message, if it has one; or one message, which all of them get.

        Raises:
            InputValueError: The result is of another number of samples.
        """
        if isinstance(item, OpResult):
            for thread, message in zip(self, self._turns(item), strict=True):
                thread.extend([] if message is None else [message])
        else:
            for thread in self:
                thread.append(checked(item, "the message"))

    def _turns(self, result: OpResult[Any]) -> list[Message | None]:
        content = result.content
        if len(content) != len(self):
            raise InputValueError(
                f"the result has {len(content)} samples, the conversations are "
                f"{len(self)}."
            )
        if not isinstance(result.output, Variable):
            return [None if turn is None else dict(turn) for turn in content]
        return [
            None if turn is None else _tracked(turn, result.output) for turn in content
        ]

    @property
    def stop_reason(self) -> StopReasonView:
        """Per sample why its last reply ended; None if its last turn is no reply."""
        return last_stop_reason(self)


def _as_content(content: Any) -> Any:
    """Let one text, Variable or block stand for a list of it."""
    if isinstance(content, str):
        return [blocks.text(content)]
    return [content] if isinstance(content, (Variable, Mapping)) else content


def _tracked(turn: Mapping[str, Any], output: Variable) -> Message:
    """Return a turn whose text is the reply's Variable, so that feedback finds it."""
    content: list[Any] = []
    placed = False
    for block in turn["content"]:
        if block["type"] != blocks.TEXT:
            content.append(block)
        elif not placed:
            content.append({"type": blocks.TEXT, "text": output})
            placed = True
    return {**turn, "content": content}


def _as_thread(thread: Any) -> list[Any]:
    if isinstance(thread, (str, Mapping)) or not isinstance(thread, Iterable):
        raise blocks.MessageError(
            "a conversation is a list of messages, got "
            f"{type(thread).__name__}: {shorten(thread)}."
        )
    return list(thread)


def checked(message: Any, place: str) -> Message:
    """Return a copy of a message with a content list of its own.

    Raises:
        MessageError: It is no message.
        ContentBlockError: Something in it is no content.
    """
    roles = sorted(blocks.ROLES)
    if not isinstance(message, Mapping) or message.get("role") not in roles:
        raise blocks.MessageError(
            f"{place} must be a dict with a 'role' of {roles} and 'content', got "
            f"{shorten(message)}."
        )
    content = message.get("content")
    if not isinstance(content, (list, tuple)):
        raise blocks.MessageError(
            f"{place}['content'] must be a list of blocks and Variables, got "
            f"{type(content).__name__}."
        )
    try:
        validate_content(content, f"{place}['content']")
    except blocks.ContentBlockError:
        raise
    except InputTypeError as error:
        raise blocks.ContentBlockError(str(error)) from None
    return {**message, "content": list(content)}
