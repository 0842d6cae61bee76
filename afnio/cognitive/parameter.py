"""Parameter: a leaf Variable that modules register and optimizers rewrite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Self, TypeVar

from afnio import serialization
from afnio._data import Data, copy_data
from afnio._text import describe, shorten
from afnio._variable import Pending, Variable
from afnio.cognitive._settings import field_names, limit, sentences, spans
from afnio.cognitive._versions import Version, checked_note, from_rows, succeed, to_rows
from afnio.errors import InputTypeError, InputValueError

__all__ = ["Demonstrations", "Parameter", "Version"]

P = TypeVar("P", bound="Parameter")

_ANY_DATA: Final[Any] = Variable.data
"""The property that `Parameter` puts versions behind."""


class Parameter(Variable):
    """A Variable to be learned; a `Module` registers it when it is assigned.

    Args:
        data: The text to start from; see `Variable`.
        role: What it is for, in words. Without one, prompts use the name.
        requires_grad: Whether it is to be learned.
        name: What prompts and reports call it. A module gives one that has none the
            name of the attribute.
        constraints: Rules that every rewrite must keep, each one sentence.
        max_length: Characters that a rewrite may have, or None for no limit. Only
            optimizers heed it; assigning ``data`` does not.
        frozen: Parts of the text that rewrites must keep, letter by letter: texts, or
            pairs of markers that stand around such parts. Only optimizers heed it.

    Raises:
        InputTypeError: ``name`` or a constraint is not text.
        InputValueError: ``max_length`` is not positive, or what is to be frozen does
            not occur.

    Examples:
        >>> prompt = Parameter("Be kind.", role="system prompt")
        >>> prompt
        Parameter containing:
          Variable(data=Be kind., role=system prompt, requires_grad=True)
        >>> prompt.data = "Be kind and brief."
        >>> prompt.rollback()
        >>> prompt.data
        'Be kind.'
    """

    __slots__ = (
        "_now",
        "_versions",
        "constraints",
        "frozen",
        "max_length",
        "name",
    )

    _drops_grad_on_copy: ClassVar[bool] = True

    name: str | None
    constraints: tuple[str, ...]
    max_length: int | None
    frozen: tuple[str, ...]
    _versions: tuple[Version, ...]
    _now: Version

    def __init__(
        self,
        data: Data = None,
        role: str | None = None,
        requires_grad: bool = True,
        *,
        name: str | None = None,
        constraints: Iterable[str] = (),
        max_length: int | None = None,
        frozen: Iterable[str | Sequence[str]] = (),
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise InputTypeError(f"name must be a str or None, got {shorten(name)}.")
        super().__init__(data, role, requires_grad)
        self.name = name
        self.constraints = sentences(constraints)
        self.max_length = limit("max_length", max_length)
        self.frozen = spans(frozen, self._value)
        self._versions, self._now = (), Version(value=copy_data(self._value))

    @property
    def data(self) -> Data:
        """The value; what it held before an assignment joins `history`."""
        return super().data

    @data.setter
    def data(self, data: Data) -> None:
        if type(self._value) is not Pending and self._value != self._now.value:
            self._now = Version(value=copy_data(self._value))
        _ANY_DATA.__set__(self, data)
        self._versions, self._now = succeed(self._versions, self._now, self._value)

    @property
    def history(self) -> tuple[Version, ...]:
        """The values before the present one, oldest first, at most 20.

        They are what led to the present value, each once: assigning an earlier value
        forgets what came after it, so candidates that were tried and taken back leave
        no trace. State dicts and files keep it; a deep copy starts without.
        """
        return self._versions

    def rollback(self, n: int = 1) -> None:
        """Return to the value ``n`` versions back, and forget what came after it.

        Raises:
            InputValueError: There are not that many versions.
        """
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise InputValueError(f"n must be a positive int, got {shorten(n)}.")
        if n > len(self._versions):
            raise InputValueError(
                f"cannot go back {n} versions: {self.label!r} has "
                f"{len(self._versions)} before the present one."
            )
        self.data = self._versions[-n].value

    def annotate(self, note: str = "", step: int | None = None) -> None:
        """Say how the present value came about; its `Version` will tell.

        Raises:
            InputTypeError: ``note`` is no text, or ``step`` no int.
        """
        checked_note(note, step)
        now = copy_data(self.data)
        self._now = Version(value=now, note=note, step=step)

    @property
    def label(self) -> str:
        """What to call it in a prompt or report: its role, or else its name."""
        return str(self.role or self.name or "parameter")

    def __repr__(self) -> str:
        return f"Parameter containing:\n  {super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        result = super().__deepcopy__(memo)
        self._copy_settings(result)
        return result

    def _copy_settings(self, target: Any) -> None:
        target.name = self.name
        target.constraints = self.constraints
        target.max_length = self.max_length
        target.frozen = self.frozen
        target._versions = ()
        target._now = Version(value=copy_data(target._value))

    def _take_versions(self, source: Parameter) -> None:
        """Take over the history of a Parameter with the same value."""
        self._versions, self._now = source._versions, source._now

    def check_data(self, data: Data) -> None:
        """Raise if a rewrite of this Parameter to ``data`` is not allowed.

        Raises:
            InputValueError: It loses what is frozen; or a subclass refuses it.
        """
        lost = [text for text in self.frozen if text not in str(data)]
        if lost:
            texts = ", ".join(repr(shorten(text)) for text in lost)
            raise InputValueError(f"these frozen parts must stay as they are: {texts}.")


_VERSIONED_DATA: Final[Any] = Parameter.data


class Demonstrations(Parameter):
    """Worked examples that a prompt shows: rows of texts, the output last.

    In messages it stands as ``{"role": "demonstrations", "content": [demos]}`` before
    the user message whose placeholders its ``fields`` are.

    Args:
        data: Rows of ``[field, …, output]``, all texts; None for no rows.
        fields: Names of the placeholders, in the order of a row.
        role: What the examples are for, in words.
        requires_grad: Whether they are to be learned.
        max_demos: How many rows there may be, or None for no limit.
        name: See `Parameter`.

    Raises:
        InputValueError: A row, a field or a limit is wrong; the message names it.

    Examples:
        >>> demos = Demonstrations([["Hi", "greeting"]])
        >>> demos.data = [*demos.rows(), demos.row({"message": "Bye"}, "farewell")]
        >>> demos.rows()
        [['Hi', 'greeting'], ['Bye', 'farewell']]
    """

    __slots__ = ("fields", "max_demos")

    fields: tuple[str, ...]
    max_demos: int | None

    def __init__(
        self,
        data: Sequence[Sequence[str]] | None = None,
        *,
        fields: Sequence[str] = ("message",),
        role: str | None = "demonstrations",
        requires_grad: bool = True,
        max_demos: int | None = None,
        name: str | None = None,
    ) -> None:
        self.fields = field_names(fields)
        self.max_demos = limit("max_demos", max_demos)
        rows = [] if data is None else data
        self.check_data(rows)
        super().__init__(rows, role, requires_grad, name=name)

    @property
    def data(self) -> Data:
        """The rows; assigning validates them and replaces all."""
        return super().data

    @data.setter
    def data(self, data: Data) -> None:
        rows = [] if data is None else data
        self.check_data(rows)
        _VERSIONED_DATA.__set__(self, rows)

    def rows(self) -> list[list[str]]:
        """Return a copy of the rows."""
        return [list(row) for row in self.data]

    def row(self, inputs: Mapping[str, Any], output: str) -> list[str]:
        """Return one row, ready for ``data``.

        Args:
            inputs: A text for every field; other keys are left out.
            output: What the model should reply.

        Raises:
            InputValueError: A field is missing.
        """
        missing = [field for field in self.fields if field not in inputs]
        if missing:
            raise InputValueError(
                f"inputs lacks {', '.join(map(repr, missing))}; a row needs a text for "
                f"each of {', '.join(map(repr, self.fields))}."
            )
        return [*(str(inputs[field]) for field in self.fields), output]

    def check_data(self, data: Data) -> None:
        """Raise unless ``data`` is rows that fit ``fields`` and ``max_demos``."""
        if not isinstance(data, (list, tuple)):
            raise InputValueError(
                f"Demonstrations hold a list of rows, got {describe(data)}."
            )
        if self.max_demos is not None and len(data) > self.max_demos:
            raise InputValueError(
                f"{len(data)} rows are more than max_demos={self.max_demos}."
            )
        for position, row in enumerate(data):
            self._check_row(position, row)

    def _check_row(self, position: int, row: Any) -> None:
        width = len(self.fields) + 1
        if (
            isinstance(row, (list, tuple))
            and len(row) == width
            and all(isinstance(text, str) for text in row)
        ):
            return
        raise InputValueError(
            f"row {position} must be {width} texts [{', '.join(self.fields)}, output], "
            f"got {describe(row)}: {shorten(row)}."
        )

    def _copy_settings(self, target: Any) -> None:
        super()._copy_settings(target)
        target.fields = self.fields
        target.max_demos = self.max_demos


# -- files ----------------------------------------------------------------------------


def _to_state(param: Parameter) -> dict[str, Any]:
    return {
        "data": param.data,
        "role": param.role,
        "requires_grad": bool(param.requires_grad),
        "name": param.name,
        "constraints": list(param.constraints),
        "max_length": param.max_length,
        "frozen": list(param.frozen),
        "history": to_rows(param._versions, param._now),
        "grad": list(param.grad),
    }


def _from_state(state: Mapping[str, Any]) -> Parameter:
    keys = ("data", "role", "name", "constraints", "max_length")
    param = Parameter(**{key: state[key] for key in keys})
    param.frozen = spans(state.get("frozen", ()), param.data)
    return _restored(param, state)


def _demos_to_state(demos: Demonstrations) -> dict[str, Any]:
    state = _to_state(demos)
    del state["constraints"], state["max_length"], state["frozen"]
    return {**state, "fields": list(demos.fields), "max_demos": demos.max_demos}


def _demos_from_state(state: Mapping[str, Any]) -> Demonstrations:
    keys = ("data", "role", "name", "fields", "max_demos")
    demos = Demonstrations(**{key: state[key] for key in keys})
    return _restored(demos, state)


def _restored(param: P, state: Mapping[str, Any]) -> P:
    if not isinstance(state["requires_grad"], bool):
        raise InputTypeError(f"requires_grad is {shorten(state['requires_grad'])}.")
    param.requires_grad = state["requires_grad"]
    param.grad = state["grad"]
    if "history" in state:
        now = copy_data(param.data)
        param._versions, param._now = from_rows(state["history"], now)
    return param


serialization.register_type("Parameter", Parameter, _to_state, _from_state)
serialization.register_type(
    "Demonstrations", Demonstrations, _demos_to_state, _demos_from_state
)
