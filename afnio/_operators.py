"""The operators and string methods of a Variable; how it is written, copied, pickled.

They are a class of their own only to keep `afnio._variable` short. Operators and string
methods are recorded in the graph; each line says which operation of `afnio.autodiff`
does the work.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, cast

from afnio import _data
from afnio._text import shorten
from afnio.errors import InputTypeError, StateError

if TYPE_CHECKING:
    from afnio._variable import Variable


@functools.cache
def autodiff() -> ModuleType:
    """Return `afnio.autodiff`: the one import against the layers, and only here."""
    from afnio import autodiff as package

    return package


class Operators:
    """String methods work on text and on every text of a batch; None stays None."""

    __slots__ = ()

    def _text(self, name: str, *args: Any) -> Variable:
        return cast("Variable", autodiff().text_ops.apply(name, self, *args))

    def __add__(self, other: Variable | str | float) -> Variable:
        return cast("Variable", autodiff().basic_ops.plus(self, other))

    def __radd__(self, other: str | float) -> Variable:
        return cast("Variable", autodiff().basic_ops.plus(other, self))

    def __iadd__(self, other: Variable | str | float) -> Self:
        """Rebind this Variable to the sum; refused on a leaf that requires grad."""
        me = cast("Variable", self)
        if me.requires_grad and me._grad_fn is None:
            raise StateError(
                "+= on a leaf that requires grad would cut it off from its gradient "
                f"(role {shorten(me.role)!r}); write y = x + other instead."
            )
        result = self + other
        me._value, me.role = result._value, result.role
        me.requires_grad = result.requires_grad
        me._grad_fn, me._output_nr = result._grad_fn, result._output_nr
        me._evidence = result._evidence
        me._version += 1
        if me._retain_grad:
            me.retain_grad()
        return self

    def __getitem__(self, index: int | slice) -> Variable:
        """Return one sample of a batch, or a slice of a batch or of a text."""
        return cast("Variable", autodiff().text_ops.get_item(self, index))

    def __iter__(self) -> Iterator[Variable]:
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        return len(cast("Variable", self).data)

    def __contains__(self, item: Any) -> bool:
        """Whether the value has ``item``, as ``in`` says of its data."""
        if isinstance(item, Operators):
            item = cast("Variable", item).data
        return item in cast("Variable", self).data

    def __bool__(self) -> bool:
        return True  # truth is identity, as for any object; len() asks for the size

    def __format__(self, spec: str) -> str:
        data = cast("Variable", self).data
        return str(self) if isinstance(data, list) else format(data, spec)

    def __repr__(self) -> str:
        me = cast("Variable", self)
        return f"Variable(data={me.data}, role={me.role}, {self._history()})"

    def __str__(self) -> str:
        me = cast("Variable", self)
        data, role = _data.brief(me.data), _data.brief_text(me.role)
        return f"variable({data}, role={role}, {self._history()})"

    def _history(self) -> str:
        me = cast("Variable", self)
        if me._grad_fn is not None and me.requires_grad:
            return f"grad_fn={me._grad_fn.name()}"
        return f"requires_grad={me.requires_grad}"

    def __copy__(self) -> Self:
        """Return another Variable at the same place of the graph, with no grad yet."""
        result = type(self).__new__(type(self))
        plain, slots = _state(self)
        for name, value in {**(plain or {}), **slots, "_grad": None}.items():
            setattr(result, name, value)
        cast("Variable", result)._value = _data.copy_data(slots["_value"])
        return result

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return what a pickle holds: no graph, no hooks; waits while pending.

        Raises:
            StateError: It is not a leaf, and a graph stays in its process.
        """
        me = cast("Variable", self)
        if not me.is_leaf:
            raise StateError(
                "only leaf Variables can be pickled; call detach() first (role "
                f"{shorten(me.role)!r})."
            )
        me.data  # noqa: B018 - from now on it is not pending
        plain, slots = _state(self)
        return plain, {**slots, "_grad_fn": None, "_evidence": me.evidence}

    def capitalize(self) -> Variable:
        """Return the text with its first character in upper case, the rest lower."""
        return self._text("capitalize")

    def casefold(self) -> Variable:
        """Return the text folded for comparison without case."""
        return self._text("casefold")

    def center(self, width: int, fillchar: str = " ") -> Variable:
        """Return the text centred in ``width`` characters."""
        return self._text("center", width, fillchar)

    def expandtabs(self, tabsize: int = 8) -> Variable:
        """Return the text with tabs replaced by spaces."""
        return self._text("expandtabs", tabsize)

    def ljust(self, width: int, fillchar: str = " ") -> Variable:
        """Return the text filled up on the right to ``width`` characters."""
        return self._text("ljust", width, fillchar)

    def lower(self) -> Variable:
        """Return the text in lower case."""
        return self._text("lower")

    def lstrip(self, chars: str | None = None) -> Variable:
        """Return the text without leading white space, or ``chars``."""
        return self._text("lstrip", chars)

    def removeprefix(self, prefix: str) -> Variable:
        """Return the text without ``prefix``, where it has it."""
        return self._text("removeprefix", prefix)

    def removesuffix(self, suffix: str) -> Variable:
        """Return the text without ``suffix``, where it has it."""
        return self._text("removesuffix", suffix)

    def replace(self, old: str, new: str, count: int = -1) -> Variable:
        """Return the text with ``old`` replaced by ``new``."""
        return self._text("replace", old, new, count)

    def rjust(self, width: int, fillchar: str = " ") -> Variable:
        """Return the text filled up on the left to ``width`` characters."""
        return self._text("rjust", width, fillchar)

    def rstrip(self, chars: str | None = None) -> Variable:
        """Return the text without trailing white space, or ``chars``."""
        return self._text("rstrip", chars)

    def strip(self, chars: str | None = None) -> Variable:
        """Return the text without white space, or ``chars``, at both ends."""
        return self._text("strip", chars)

    def swapcase(self) -> Variable:
        """Return the text with upper and lower case exchanged."""
        return self._text("swapcase")

    def title(self) -> Variable:
        """Return the text with each word capitalized."""
        return self._text("title")

    def translate(self, table: dict[int, Any]) -> Variable:
        """Return the text with characters mapped by ``table``."""
        return self._text("translate", table)

    def upper(self) -> Variable:
        """Return the text in upper case."""
        return self._text("upper")

    def zfill(self, width: int) -> Variable:
        """Return the text filled up with zeros on the left."""
        return self._text("zfill", width)

    def map(self, fn: Callable[[Any], Any], purpose: str = "") -> Variable:
        """Return ``fn`` applied to every value; ``purpose`` tells critics what it does.

        ``fn`` must be pure; it runs when the value is there.
        """
        return cast("Variable", autodiff().text_ops.map_values(self, fn, purpose))

    def format(self, /, *args: Any, **values: Variable | str | float) -> Variable:
        """Fill ``{name}`` placeholders; every other brace is text.

        Unlike `str.format`, values are inserted once, as they are, and never scanned.

        Raises:
            InputTypeError: A value was given without a name.
            TemplateError: A name occurs nowhere in the text.
        """
        if args:
            raise InputTypeError(
                f"format takes values by name, as in .format(name={shorten(args[0])!r})"
                " for the placeholder {name}; got one without a name."
            )
        return cast("Variable", autodiff().text_ops.format_template(self, values))

    def join(self, parts: Iterable[Variable | str]) -> Variable:
        """Return the parts joined, with this text between them."""
        return cast("Variable", autodiff().text_ops.join(self, parts))

    def split(self, sep: str | None = None, maxsplit: int = -1) -> tuple[Variable, ...]:
        """Return the parts of the text; see `afnio.autodiff.basic_ops.Split`."""
        split = autodiff().basic_ops.Split
        return cast("tuple[Variable, ...]", split.apply(self, sep, maxsplit))


def _state(variable: Operators) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return a Variable's attributes, without those that are its own alone."""
    plain, slots = cast("Any", object.__getstate__(variable))
    own = {"_accumulator": None, "_hooks": None, "_id": None, "_retain_grad": False}
    return plain, {**slots, **own}
