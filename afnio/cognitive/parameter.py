"""Parameter: a leaf Variable that modules register and optimizers rewrite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Self, TypeVar

from afnio import serialization
from afnio._data import Data
from afnio._text import describe, shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError

__all__ = ["Demonstrations", "Parameter"]

P = TypeVar("P", bound="Parameter")

_ANY_DATA: Final[Any] = Variable.data
"""The property that `Demonstrations` puts a check in front of."""


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

    Raises:
        InputTypeError: ``name`` or a constraint is not text.
        InputValueError: ``max_length`` is not positive.

    Example:
        >>> Parameter("Be kind.", role="system prompt")
        Parameter containing:
          Variable(data=Be kind., role=system prompt, requires_grad=True)
    """

    __slots__ = ("constraints", "max_length", "name")

    _drops_grad_on_copy: ClassVar[bool] = True

    name: str | None
    constraints: tuple[str, ...]
    max_length: int | None

    def __init__(
        self,
        data: Data = None,
        role: Any = None,
        requires_grad: bool = True,
        *,
        name: str | None = None,
        constraints: Iterable[str] = (),
        max_length: int | None = None,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise InputTypeError(f"name must be a str or None, got {shorten(name)}.")
        super().__init__(data, role, requires_grad)
        self.name = name
        self.constraints = _sentences(constraints)
        self.max_length = _limit("max_length", max_length)

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

    def check_data(self, data: Data) -> None:
        """Raise if this Parameter could not hold ``data``; any Variable's data is fine.

        Raises:
            InputValueError: A subclass refuses it, naming the place.
        """


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

    Example:
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
        role: Any = "demonstrations",
        requires_grad: bool = True,
        max_demos: int | None = None,
        name: str | None = None,
    ) -> None:
        self.fields = _field_names(fields)
        self.max_demos = _limit("max_demos", max_demos)
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
        _ANY_DATA.__set__(self, rows)

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


def _sentences(constraints: Iterable[str]) -> tuple[str, ...]:
    if isinstance(constraints, str):
        raise InputTypeError("constraints takes several texts; put the one in a list.")
    found = tuple(constraints)
    for item in found:
        if not isinstance(item, str):
            raise InputTypeError(
                f"constraints must be texts, got {type(item).__name__}: "
                f"{shorten(item)}."
            )
    return found


def _limit(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputValueError(f"{name} must be a positive int or None, got {value!r}.")
    return value


def _field_names(fields: Sequence[str]) -> tuple[str, ...]:
    names = () if isinstance(fields, str) else tuple(fields)
    if not names or len(set(names)) < len(names):
        raise InputValueError(
            "fields must be different placeholder names in a list or tuple, got "
            f"{fields!r}."
        )
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise InputValueError(f"fields: {name!r} cannot be a placeholder's name.")
    return names


# -- files ----------------------------------------------------------------------------


def _to_state(param: Parameter) -> dict[str, Any]:
    return {
        "data": param.data,
        "role": param.role,
        "requires_grad": bool(param.requires_grad),
        "name": param.name,
        "constraints": list(param.constraints),
        "max_length": param.max_length,
        "grad": list(param.grad),
    }


def _from_state(state: Mapping[str, Any]) -> Parameter:
    keys = ("data", "role", "name", "constraints", "max_length")
    param = Parameter(**{key: state[key] for key in keys})
    return _restored(param, state)


def _demos_to_state(demos: Demonstrations) -> dict[str, Any]:
    state = _to_state(demos)
    del state["constraints"], state["max_length"]
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
    return param


serialization.register_type("Parameter", Parameter, _to_state, _from_state)
serialization.register_type(
    "Demonstrations", Demonstrations, _demos_to_state, _demos_from_state
)
