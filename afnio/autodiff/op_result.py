"""OpResult: all that an operation on conversations has to say, beside its output."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from afnio._text import describe
from afnio._variable import Variable
from afnio.autodiff.stop_reasons import StopReasonView
from afnio.errors import InputTypeError, InputValueError

__all__ = ["OpResult"]

T = TypeVar("T")

Turn: TypeAlias = Mapping[str, Any]
"""``{"role", "content": [blocks], "_stop_reason"?}``."""


class OpResult(Generic[T]):
    """What came of asking a model about a batch of conversations.

    Everything but ``output`` waits when it is read, as ``output.data`` does.

    Args:
        output: The replies as a Variable of the graph; None for operations without.
        content: Per sample the new message, None for one that was left out.
        stop_reason: Per sample why it stopped, None for one that was left out.
        parsed: Per sample the object asked for, or empty if none was.
        fields: One Variable per field of the reply, if a schema was asked for.
        parse_error: Per sample what kept it from being parsed, or None altogether.
        turns: Per sample every message that was added, the last one is ``content``.

    Raises:
        InputValueError: Something that has one entry per sample has another length.

    Examples:
        >>> result = OpResult(None, [None, None], ["end_turn", None])
        >>> result.stop_reason == "end_turn"
        BoolMask([True, False])
    """

    __slots__ = ("_rows", "fields", "output")

    output: Variable | tuple[Variable, ...] | None
    fields: Any
    """One Variable per field of the reply, or None without a schema."""

    def __init__(
        self,
        output: Variable | tuple[Variable, ...] | None,
        content: Sequence[Turn | None],
        stop_reason: Sequence[str | None] | StopReasonView,
        parsed: Sequence[T | None] = (),
        fields: Any = None,
        parse_error: Sequence[Exception | None] | None = None,
        turns: Sequence[Sequence[Turn]] = (),
    ) -> None:
        self.output, self.fields = output, fields
        self._rows = Rows()
        self._rows.fill(
            content=content,
            stop_reason=stop_reason,
            parsed=parsed,
            parse_error=parse_error,
            turns=turns,
        )

    @classmethod
    def waiting(cls, output: Variable, rows: Rows, fields: Any = None) -> OpResult[Any]:
        """Return a result whose rows the operation behind ``output`` will fill."""
        result: OpResult[Any] = cls.__new__(cls)
        result.output, result.fields, result._rows = output, fields, rows
        return result

    def __await__(self) -> Generator[Any, None, OpResult[T]]:
        """Wait without blocking a running loop; return the result itself."""
        if isinstance(self.output, Variable):
            yield from self.output.__await__()
        return self

    def _read(self, name: str) -> Any:
        if not self._rows.filled and isinstance(self.output, Variable):
            self.output.data  # noqa: B018 - waits, and raises what went wrong
        return self._rows.values[name]

    @property
    def content(self) -> tuple[Turn | None, ...]:
        """Per sample the new message; None for one that was left out."""
        return tuple(self._read("content"))

    @property
    def stop_reason(self) -> StopReasonView:
        """Per sample why it stopped; compare it with a text to get a mask."""
        return StopReasonView(self._read("stop_reason"))

    @property
    def parsed(self) -> tuple[T | None, ...]:
        """Per sample the object that was asked for; empty if none was."""
        return tuple(self._read("parsed"))

    @property
    def parse_error(self) -> tuple[Exception | None, ...] | None:
        """Per sample what kept its reply from being parsed."""
        errors = self._read("parse_error")
        return None if errors is None else tuple(errors)

    @property
    def turns(self) -> tuple[tuple[Turn, ...], ...]:
        """Per sample every message that was added, in order."""
        return tuple(tuple(added) for added in self._read("turns"))

    def __len__(self) -> int:
        return len(self.content)

    def __repr__(self) -> str:
        if not self._rows.filled:
            return "OpResult(pending)"
        return f"OpResult(samples={len(self)}, stop_reason={self.stop_reason!r})"


class Rows:
    """Where an operation puts what it has to say per sample."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    @property
    def filled(self) -> bool:
        """Whether the operation has run."""
        return bool(self.values)

    def fill(self, **values: Any) -> None:
        """Keep the values after checking them.

        Raises:
            InputTypeError: Something is not a sequence.
            InputValueError: A sequence has not one entry per sample.
        """
        size: int | None = None
        for name, found in values.items():
            if name in _EMPTY and not found:
                continue
            if isinstance(found, str) or not hasattr(found, "__len__"):
                raise InputTypeError(
                    f"OpResult: {name} must have one entry per sample, got "
                    f"{describe(found)}."
                )
            size = len(found) if size is None else size
            if len(found) != size:
                raise InputValueError(
                    f"OpResult: {name} has {len(found)} entries, content has {size}; "
                    "both need one per sample."
                )
        self.values = {**_EMPTY, **values}


_EMPTY: Final[Mapping[str, Any]] = {
    "parsed": (),
    "parse_error": None,
    "turns": (),
}
