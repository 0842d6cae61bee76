"""From a sample of a data set to a call of a program."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio._text import closest, shorten
from afnio._variable import Variable
from afnio.cognitive.modules.module import Module
from afnio.errors import InputTypeError, InputValueError

_PAIR: Final = 2
_INPUTS: Final = "inputs"
"""A parameter of this name takes all inputs as one dict."""


_TARGET: Final = (
    "Name the field with the right answer: target=… (afnio eval: --target …); where "
    "there is none, target=None (--target ''). "
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which fields of a sample are inputs, and which one is the target."""

    target: str | None
    fields: Sequence[str] | None = None

    def split(self, sample: Any, index: int) -> tuple[Any, Any]:
        """Return the inputs and the target of a sample.

        Raises:
            InputValueError: A field is missing.
        """
        if isinstance(sample, Mapping):
            return self._split_mapping(sample, index)
        if isinstance(sample, (tuple, list)) and len(sample) == _PAIR:
            return sample[0], sample[1]
        if self.target is None:
            return sample, None
        raise InputValueError(
            f"sample {index} is {shorten(repr(sample))}; expected a dict with a field "
            f"{self.target!r}, or a pair (input, target). For data without targets, "
            "pass target=None (afnio eval: --target '')."
        )

    def inputs_of(self, sample: Any) -> Any:
        """Return the inputs of a sample if they can be told, else all of it."""
        is_pair = isinstance(sample, (tuple, list)) and len(sample) == _PAIR
        has_target = isinstance(sample, Mapping) and self.target in sample
        return self.split(sample, 0)[0] if is_pair or has_target else sample

    def _split_mapping(self, sample: Mapping[Any, Any], index: int) -> tuple[Any, Any]:
        for name in (*(self.fields or ()), *([self.target] if self.target else ())):
            if name not in sample:
                raise InputValueError(
                    f"sample {index} has no field {name!r}; it has "
                    f"{shorten(', '.join(map(str, sample)))}. "
                    + (_TARGET if name == self.target else "")
                    + closest(name, map(str, sample))
                )
        names = self.fields or [name for name in sample if name != self.target]
        target = None if self.target is None else sample[self.target]
        return {str(name): sample[name] for name in names}, target


class Fields(dict[Any, Any]):
    """A dict batch that knows whether it was iterated over, as unpacking does.

    Reading items, ``in``, ``items()`` and ``**`` are no iteration.

    Attributes:
        taken_apart: Whether it was.
    """

    taken_apart = False

    def __iter__(self) -> Iterator[Any]:
        self.taken_apart = True
        return super().__iter__()

    def mistaken(self, what: str) -> InputTypeError:
        """Return the error of a step that took names of fields for values.

        Args:
            what: What it did with them.
        """
        names = ", ".join(repr(str(name)) for name in self.keys())
        return InputTypeError(
            f"test_step was given a dict with the fields {shorten(names)}, unpacked "
            f"it, which gives their names, and {what}. Take batch[…] in test_step; or "
            "pass samples as pairs (input, target)."
        )


class Caller:
    """Calls a program with the inputs of samples.

    Args:
        program: A Module or any other callable.
        arguments: Passed with every call, by keyword.

    Raises:
        InputTypeError: It cannot be called, or does not take an argument.
    """

    def __init__(self, program: Any, arguments: Mapping[str, Any]) -> None:
        if not callable(program):
            raise InputTypeError(
                f"the program is {type(program).__name__}; expected a Module or "
                "another callable."
            )
        self._program: Callable[..., Any] = program
        self._arguments = dict(arguments)
        self.name = name_of(program)
        forward = program.forward if isinstance(program, Module) else program
        self._params, self._any_name = _parameters(forward)
        for name in arguments:
            if name not in self._params and not self._any_name:
                raise InputTypeError(
                    f"{self.name} takes no argument {name!r}; "
                    f"{closest(name, self._params)}"
                )

    def bind(self, inputs: Any) -> Callable[[], Any]:
        """Return the call for a sample's inputs.

        A dict goes to a parameter called ``inputs``; else its items go to parameters of
        their names, and items without one are left out; else it goes to the only
        parameter, on its own if it has one item. Anything else is the first argument.

        Raises:
            InputTypeError: It fits none of these ways.
        """
        if not isinstance(inputs, Mapping):
            return lambda: self._program(inputs, **self._arguments)
        args, named = self._arranged(inputs)
        return lambda: self._program(*args, **named, **self._arguments)

    def _arranged(
        self, inputs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        open_to = {n: p for n, p in self._params.items() if n not in self._arguments}
        required = [n for n, p in open_to.items() if p.default is p.empty]
        if _INPUTS in open_to and _INPUTS not in inputs and {*required} <= {_INPUTS}:
            return (), {_INPUTS: dict(inputs)}
        named = {name: inputs[name] for name in inputs if name in open_to}
        if self._any_name and set(required) <= inputs.keys():
            return (), dict(inputs)
        if named and set(required) <= named.keys():
            return (), named
        if len(required or open_to) == 1 and _INPUTS not in open_to:
            only = next(iter(inputs.values())) if len(inputs) == 1 else dict(inputs)
            return (only,), {}
        raise InputTypeError(
            f"{self.name} needs {', '.join(required) or 'nothing'}, and the sample "
            f"offers {', '.join(inputs) or 'nothing'}. Rename fields or parameters, "
            "give the program one parameter called 'inputs', or pass what every call "
            "needs, such as a model, as arguments={…} (afnio eval: --model)."
        )


def name_of(program: Any) -> str:
    """Name a program, for people."""
    name = getattr(program, "__qualname__", None)
    return str(name) if name else type(program).__name__


def _parameters(
    function: Callable[..., Any],
) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the parameters by name, and whether any other name is taken as well."""
    try:
        params = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a built-in that does not tell
        return {
            "value": inspect.Parameter("value", inspect.Parameter.VAR_POSITIONAL)
        }, (False)
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in params)
    return {p.name: p for p in params if p.kind not in kinds}, open_ended


def plain(value: Any) -> Any:
    """Return ``value`` as JSON data; what has no such form becomes its repr."""
    if isinstance(value, Variable):
        value = value.data
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    is_json = value is None or isinstance(value, (str, int))
    finite = isinstance(value, float) and math.isfinite(value)
    return value if is_json or finite else repr(value)
