"""String methods, slices, templates and maps, recorded in the graph.

Their backward says how the result came from the input, so that feedback on a slice is
read as feedback on that slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from afnio._data import normalize
from afnio._text import fill, placeholders, shorten
from afnio._variable import Variable
from afnio.autodiff._merge import Feedback, batched, passed_on
from afnio.autodiff._ops_common import elementwise, known, require_variables
from afnio.autodiff._prompts import DERIVED_FEEDBACK, PART_FEEDBACK
from afnio.autodiff.function import FunctionNode, Op
from afnio.errors import InputTypeError, InputValueError, TemplateError


class StringMethod(Op):
    """A method of `str` that returns text, applied to every text."""

    method: ClassVar[str]

    @staticmethod
    def plan(x: Variable, how: str, call: Callable[[Any], Any]) -> tuple[str, ...]:
        """Return the role, unchanged: the text still serves the same purpose."""
        del how
        if (data := known([x])) is not None:
            elementwise("a string method", call, data)
        return (x.role,)

    @staticmethod
    def forward(
        ctx: FunctionNode, x: Variable, how: str, call: Callable[[Any], Any]
    ) -> Any:
        """Apply the method to every text."""
        ctx.role, ctx.how = x.role, how
        return elementwise(f"text{how}", call, (x.data,))

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Pass the feedback on, saying how the text was changed."""
        lead_in = DERIVED_FEEDBACK.format(role=ctx.role, how=ctx.how)
        return (passed_on(grad, ctx.role, lead_in), None, None)


_METHODS: dict[str, type[StringMethod]] = {
    name: type(name.capitalize(), (StringMethod,), {"method": name})
    for name in (
        "capitalize", "casefold", "center", "expandtabs", "ljust", "lower", "lstrip",
        "removeprefix", "removesuffix", "replace", "rjust", "rstrip", "strip",
        "swapcase", "title", "translate", "upper", "zfill",
    )
}  # fmt: skip


def apply(name: str, x: Variable, *args: Any) -> Variable:
    """Apply the string method ``name``, recorded as its own operation.

    Raises:
        InputTypeError: The data is not text, or an argument is of the wrong type.
    """
    arguments = tuple(arg.data if isinstance(arg, Variable) else arg for arg in args)
    shown = ", ".join(shorten(repr(arg), 40) for arg in arguments)

    def call(text: Any) -> Any:
        if not isinstance(text, str):
            raise InputTypeError(
                f".{name}() needs text, got {type(text).__name__} {shorten(text)}."
            )
        try:
            return getattr(text, name)(*arguments)
        except TypeError as error:
            raise InputTypeError(f".{name}({shown}): {error}") from error

    result: Variable = _METHODS[name].apply(x, f".{name}({shown})", call)
    return result


class GetItem(Op):
    """One sample of a batch, or a slice of a batch or a text."""

    @staticmethod
    def plan(x: Variable, index: int | slice) -> tuple[str, ...]:
        """Validate the index and return the role."""
        if not isinstance(index, (int, slice)) or isinstance(index, bool):
            raise InputTypeError(
                f"a Variable is indexed with an int or a slice, got {index!r}."
            )
        if (data := known([x])) is not None:
            _item(data[0], index)
        return (x.role,)

    @staticmethod
    def forward(ctx: FunctionNode, x: Variable, index: int | slice) -> Any:
        """Return the item."""
        ctx.role, ctx.index = x.role, index
        ctx.size = len(x.data) if isinstance(x.data, list) else None
        return _item(x.data, index)

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Put feedback on samples in their places; name the slice of a text."""
        if ctx.size is None:
            how = PART_FEEDBACK.format(role=ctx.role, part=_describe(ctx.index))
            return (passed_on(grad, ctx.role, how), None)
        places = range(ctx.size)[ctx.index]
        data: list[Any] = [""] * ctx.size
        if isinstance(places, int):
            data[places] = grad.data
            places = range(places, places + 1)
        else:
            for place, text in zip(places, batched(grad, len(places)), strict=True):
                data[place] = text
        result = Feedback(data, f"feedback to {ctx.role}", data)
        result.evidence = tuple(
            record.but(index=places[record.index])
            for record in grad.evidence
            if record.index < len(places)
        )
        return (result, None)


def _item(data: Any, index: int | slice) -> Any:
    if not isinstance(data, (list, str)):
        raise InputTypeError(f"only text and lists have items, got {shorten(data)}.")
    try:
        return data[index]
    except IndexError as error:
        raise _OutOfRange(
            f"index {index} is out of range for {len(data)} items."
        ) from error


class _OutOfRange(InputValueError, IndexError):
    """An index past the end; an IndexError, so that iteration protocols end."""


def _describe(index: int | slice) -> str:
    if isinstance(index, int):
        return f"character {index}"
    bounds = [("" if end is None else str(end)) for end in (index.start, index.stop)]
    step = "" if index.step is None else f":{index.step}"
    return f"characters [{':'.join(bounds)}{step}]"


def get_item(x: Variable, index: int | slice) -> Variable:
    """Return ``x[index]``, recorded."""
    result: Variable = GetItem.apply(x, index)
    return result


class Map(Op):
    """A user's own pure function, applied to every value."""

    _user_code = True

    @staticmethod
    def plan(x: Variable, fn: Callable[[Any], Any], purpose: str) -> tuple[str, ...]:
        """Validate the function and return the role."""
        require_variables("map", (x,))
        if not callable(fn) or not isinstance(purpose, str):
            raise InputTypeError(
                "map takes a function and a purpose in words, got "
                f"{type(fn).__name__} and {type(purpose).__name__}."
            )
        return (x.role,)

    @staticmethod
    def forward(
        ctx: FunctionNode, x: Variable, fn: Callable[[Any], Any], purpose: str
    ) -> Any:
        """Call the function on every value that is not missing."""
        ctx.role = x.role
        ctx.how = purpose or f".map({getattr(fn, '__name__', 'a function')})"
        data = x.data
        if isinstance(data, list):
            return normalize([None if item is None else fn(item) for item in data])
        return normalize(fn(data))

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Pass the feedback on, saying what was done to the value."""
        lead_in = DERIVED_FEEDBACK.format(role=ctx.role, how=ctx.how)
        return (passed_on(grad, ctx.role, lead_in), None, None)


def map_values(x: Variable, fn: Callable[[Any], Any], purpose: str = "") -> Variable:
    """Return ``fn`` applied to every value of ``x``."""
    result: Variable = Map.apply(x, fn, purpose)
    return result


class Template(Op):
    """Fill the placeholders of a text with other Variables."""

    @staticmethod
    def plan(
        template: Variable, values: Mapping[str, Any], names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Check that every name has its placeholder."""
        del values
        if (data := known([template])) is not None:
            _check_names(data[0], names)
        return (template.role,)

    @staticmethod
    def forward(
        ctx: FunctionNode,
        template: Variable,
        values: Mapping[str, Variable],
        names: tuple[str, ...],
    ) -> Any:
        """Insert each value once; a batched value makes a batch."""
        _check_names(template.data, names)
        ctx.roles = (template.role, *(value.role for value in values.values()))
        columns = [template.data, *(value.data for value in values.values())]
        sizes = [len(column) for column in columns if isinstance(column, list)]
        if sizes:
            columns = [c if isinstance(c, list) else [c] * sizes[0] for c in columns]
        return elementwise(
            "format",
            lambda text, *filled: fill(text, dict(zip(values, filled, strict=True))),
            columns,
        )

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Tell the template, and what filled it, what was said of the result."""
        how = ".format(...)"
        grads = [
            passed_on(grad, role, DERIVED_FEEDBACK.format(role=role, how=how))
            for role in ctx.roles
        ]
        return (grads[0], tuple(grads[1:]), None)


def _check_names(data: Any, names: tuple[str, ...]) -> None:
    texts = data if isinstance(data, list) else [data]
    for text in texts:
        if not isinstance(text, str):
            raise InputTypeError(f"format needs text, got {shorten(text)}.")
        missing = [name for name in names if name not in placeholders(text)]
        if missing:
            raise TemplateError(
                f"format got {', '.join(missing)}, but the text {shorten(text)!r} has "
                f"only the placeholders {placeholders(text) or 'none'}."
            )


def format_template(template: Variable, values: Mapping[str, Any]) -> Variable:
    """Fill ``{name}`` in ``template``; values may be Variables or constants."""
    filled = {
        name: value if isinstance(value, Variable) else Variable(value)
        for name, value in values.items()
    }
    result: Variable = Template.apply(template, filled, tuple(values))
    return result


def join(sep: Variable, parts: Iterable[Variable | str]) -> Variable:
    """Return ``parts`` joined by ``sep``, recorded as additions."""
    pieces = list(parts)
    result: Variable | str = pieces[0] if pieces else ""
    for piece in pieces[1:]:
        result = sep.__radd__(result) if isinstance(result, str) else result + sep
        result = result + piece
    return result if isinstance(result, Variable) else Variable(result, sep.role)
