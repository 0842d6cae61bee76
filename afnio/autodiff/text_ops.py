"""String methods, slices, templates and maps, recorded in the graph.

Their backward says how the result came from the input, so that feedback on a slice is
read as feedback on that slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from afnio._data import copy_data, leaves, normalize
from afnio._text import fill, join_roles, placeholders, shorten
from afnio._variable import Variable
from afnio.autodiff._merge import (
    Feedback,
    body_of,
    how_of,
    passed_on,
    per_sample,
    trail,
)
from afnio.autodiff._ops_common import elementwise, fit, known
from afnio.autodiff._prompts import DERIVED_FEEDBACK, PART_FEEDBACK, UNNAMED
from afnio.autodiff._relay import connect
from afnio.autodiff.function import FunctionNode, Op
from afnio.errors import InputTypeError, InputValueError, TemplateError

if TYPE_CHECKING:
    from afnio.autodiff.evidence import Evidence


def derived(grad: Variable, role: str, step: str) -> Variable:
    """Pass feedback on, saying by which steps the result came from its source."""
    how = trail(step, grad)
    lead_in = DERIVED_FEEDBACK.format(role=role or UNNAMED, how=how)
    return passed_on(grad, role, lead_in, how)


class StringMethod(Op):
    """A method of `str` that returns text, applied to every text."""

    method: ClassVar[str]

    @staticmethod
    def plan(x: Variable, how: str, call: Callable[[Any], Any]) -> tuple[str, ...]:
        """Return the role, unchanged: the text still serves the same purpose."""
        del how, call
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
        return (derived(grad, ctx.role, ctx.how), None, None)


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
    given = arguments[:-1] if arguments and arguments[-1] is None else arguments
    shown = ", ".join(shorten(repr(arg), 40) for arg in given)

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
            return (_on_part(grad, ctx.role, ctx.index), None)
        places = range(ctx.size)[ctx.index]
        body = body_of(grad)
        if isinstance(places, int):
            places, body = range(places, places + 1), [body]
        data: list[Any] = [""] * ctx.size
        for place, text in zip(places, per_sample(body, len(places)), strict=True):
            data[place] = text
        source = Feedback(data, "", data, how_of(grad))
        source.evidence = tuple(_moved(record, places) for record in grad.evidence)
        return (_addressed(connect(source, (grad,)), ctx.role), None)


def _moved(record: Evidence, places: range) -> Evidence:
    index = places[record.index] if record.index < len(places) else record.index
    return record if index == record.index else record.but(index=index)


def _addressed(source: Feedback, role: str) -> Variable:
    """Pass on feedback per sample, with a lead-in only if there were other steps."""
    if source.how:
        lead_in = DERIVED_FEEDBACK.format(role=role or UNNAMED, how=source.how)
        return passed_on(source, role, lead_in)
    source.role = f"feedback to {role}"
    return source


def _on_part(grad: Variable, role: str, index: int | slice) -> Variable:
    """Turn feedback on a slice of a text into feedback on the text."""
    lead_in = PART_FEEDBACK.format(role=role or UNNAMED, part=_describe(index))
    if how := how_of(grad):
        lead_in += f" ({how} was applied to it)"
    return passed_on(grad, role, lead_in, trail(_subscript(index), grad))


def _item(data: Any, index: int | slice) -> Any:
    if not isinstance(data, (list, str)):
        raise InputTypeError(f"only text and lists have items, got {shorten(data)}.")
    try:
        return copy_data(data[index])
    except IndexError as error:
        raise _OutOfRangeError(
            f"index {index} is out of range for {len(data)} items."
        ) from error


class _OutOfRangeError(InputValueError, IndexError):
    """An index past the end; an IndexError, so that iteration protocols end."""


def _subscript(index: int | slice) -> str:
    if isinstance(index, int):
        return f"[{index}]"
    bounds = ["" if end is None else str(end) for end in (index.start, index.stop)]
    step = "" if index.step is None else f":{index.step}"
    return f"[{':'.join(bounds)}{step}]"


def _describe(index: int | slice) -> str:
    if isinstance(index, int):
        return f"character {index}"
    return f"characters {_subscript(index)}"


def get_item(x: Variable, index: int | slice) -> Variable:
    """Return ``x[index]``, recorded."""
    result: Variable = GetItem.apply(x, index)
    return result


class Map(Op):
    """A user's own pure function, applied to every value."""

    @staticmethod
    def calls_user(*args: Any, **kwargs: Any) -> bool:
        """Whatever else it does, it calls the function."""
        del args, kwargs
        return True

    @staticmethod
    def plan(x: Variable, fn: Callable[[Any], Any], purpose: str) -> tuple[str, ...]:
        """Validate the function and return the role."""
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
        if data is None:
            raise InputTypeError("map got None; expected text, a number or a list.")
        if isinstance(data, list):
            return normalize([None if item is None else fn(item) for item in data])
        return normalize(fn(data))

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Pass the feedback on, saying what was done to the value."""
        return (derived(grad, ctx.role, ctx.how), None, None)


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
        """Return the template's role; a ready template must have every name."""
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
        parts = [template, *values.values()]
        columns = [part.data for part in parts]
        ctx.roles = tuple(part.role for part in parts)
        ctx.batched = [isinstance(column, list) for column in columns]
        return elementwise(
            "format",
            lambda text, *filled: fill(text, dict(zip(values, filled, strict=True))),
            columns,
            spread=True,
        )

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Tell the template, and what filled it, what was said of the result."""
        grads = [
            derived(fit(grad, batched), role, ".format(...)")
            for role, batched in zip(ctx.roles, ctx.batched, strict=True)
        ]
        return (grads[0], tuple(grads[1:]), None)


def _check_names(data: Any, names: tuple[str, ...]) -> None:
    for text in leaves(data):
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


class Join(Op):
    """Join texts; batches are joined sample by sample."""

    @staticmethod
    def plan(sep: Variable, parts: tuple[Variable, ...]) -> tuple[str, ...]:
        """Return the roles of the parts, joined."""
        return (join_roles(part.role for part in parts) or sep.role,)

    @staticmethod
    def forward(ctx: FunctionNode, sep: Variable, parts: tuple[Variable, ...]) -> Any:
        """Return the joined text."""
        columns = [sep.data, *(part.data for part in parts)]
        ctx.roles = (sep.role, *(part.role for part in parts))
        ctx.batched = [isinstance(column, list) for column in columns]
        return elementwise("join", _joined, columns, spread=True)

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Pass the feedback on to the separator and to every part."""
        grads = [
            derived(fit(grad, batched), role, ".join(...)")
            for role, batched in zip(ctx.roles, ctx.batched, strict=True)
        ]
        return (grads[0], tuple(grads[1:]))


def _joined(sep: Any, *parts: Any) -> str:
    for text in (sep, *parts):
        if not isinstance(text, str):
            raise InputTypeError(
                f"join needs text, got {type(text).__name__} {shorten(text)}."
            )
    return str(sep.join(parts))


def join(sep: Variable, parts: Iterable[Variable | str]) -> Variable:
    """Return ``parts`` joined by ``sep``."""
    pieces = tuple(
        part if isinstance(part, Variable) else Variable(part) for part in parts
    )
    result: Variable = Join.apply(sep, pieces)
    return result
