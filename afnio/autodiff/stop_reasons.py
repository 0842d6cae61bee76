"""Why each sample of a batch stopped, and masks made by asking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError

__all__ = ["BoolMask", "StopReason", "StopReasonView", "last_stop_reason"]


class StopReason(StrEnum):
    """Why a model stopped; a provider's other reasons stay its own words.

    ``MAX_TURNS`` is an agent's: its last turn came before it was done.
    """

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    PAUSE = "pause"
    MAX_TURNS = "max_turns"

    def __str__(self) -> str:
        """Return the member's name, so a log shows that it is one of ours."""
        return f"{type(self).__name__}.{self.name}"


class BoolMask:
    """One truth per sample of a batch; combine masks with ``~ & | ^``.

    It has no truth of its own: ask ``any()`` or ``all()``.

    Args:
        values: Any objects; their truth is kept.

    Examples:
        >>> done = BoolMask([True, False])
        >>> ~done
        BoolMask([False, True])
        >>> (done | ~done).all()
        True
    """

    __slots__ = ("values",)
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, values: Iterable[object]) -> None:
        self.values: tuple[bool, ...] = tuple(bool(value) for value in values)

    def any(self) -> bool:
        """Whether one is true; False for an empty mask."""
        return any(self.values)

    def all(self) -> bool:
        """Whether every one is true; True for an empty mask."""
        return all(self.values)

    def __bool__(self) -> bool:
        raise InputValueError(
            "a BoolMask holds one truth per sample and has none of its own; use "
            "mask.any() or mask.all()."
        )

    def __invert__(self) -> BoolMask:
        return BoolMask(not value for value in self.values)

    def __and__(self, other: BoolMask) -> BoolMask:
        return BoolMask(a and b for a, b in self._pairs(other, "&"))

    def __or__(self, other: BoolMask) -> BoolMask:
        return BoolMask(a or b for a, b in self._pairs(other, "|"))

    def __xor__(self, other: BoolMask) -> BoolMask:
        return BoolMask(a is not b for a, b in self._pairs(other, "^"))

    def _pairs(self, other: object, sign: str) -> Iterable[tuple[bool, bool]]:
        if not isinstance(other, BoolMask):
            raise InputTypeError(
                f"BoolMask {sign} takes another BoolMask, got {type(other).__name__}: "
                f"{shorten(other)}."
            )
        if len(self.values) != len(other.values):
            raise InputValueError(
                f"BoolMask {sign} needs masks of one length, got {len(self.values)} "
                f"and {len(other.values)}."
            )
        return zip(self.values, other.values, strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoolMask) and self.values == other.values

    def __iter__(self) -> Iterator[bool]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, position: int) -> bool:
        return self.values[position]

    def __repr__(self) -> str:
        return f"BoolMask({list(self.values)})"


class StopReasonView:
    """Why each sample stopped; comparing it with a text gives a `BoolMask`.

    Args:
        reasons: A text per sample, None for one that was not asked.

    Examples:
        >>> StopReasonView(["end_turn", None]) == "end_turn"
        BoolMask([True, False])
    """

    __slots__ = ("reasons",)
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, reasons: Iterable[str | None]) -> None:
        self.reasons: tuple[str | None, ...] = tuple(reasons)

    def __eq__(self, other: object) -> Any:
        """Return which samples stopped for this reason."""
        if not isinstance(other, str):
            return NotImplemented
        return BoolMask(reason == other for reason in self.reasons)

    def __ne__(self, other: object) -> Any:
        """Return which samples did not."""
        if not isinstance(other, str):
            return NotImplemented
        return BoolMask(reason != other for reason in self.reasons)

    def __iter__(self) -> Iterator[str | None]:
        return iter(self.reasons)

    def __len__(self) -> int:
        return len(self.reasons)

    def __getitem__(self, position: int) -> str | None:
        return self.reasons[position]

    def __repr__(self) -> str:
        return f"StopReasonView({[r and str.__str__(r) for r in self.reasons]})"


def last_stop_reason(
    conversations: Sequence[Sequence[Mapping[str, Any]]],
) -> StopReasonView:
    """Return why the last turn of each conversation ended; None if it is no reply.

    Examples:
        >>> last_stop_reason([[], [{"role": "assistant", "_stop_reason": "tool_use"}]])
        StopReasonView([None, 'tool_use'])
    """
    return StopReasonView(
        turns[-1].get("_stop_reason")
        if turns and turns[-1].get("role") == "assistant"
        else None
        for turns in conversations
    )
