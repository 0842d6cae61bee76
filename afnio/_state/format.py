"""What a saved file looks like, and the types that take part in it.

A plain file, or the member ``afnio.json`` of an archive, holds
``{"format": "afnio", "version": 1, "state": …}``. In ``state``, text, numbers, lists
and dicts with text keys stand for themselves. Everything else is an object with
``$type``: ``tuple``, ``Variable``, a ``dict`` with other keys (``pairs``), a non-finite
``float``, a ``function`` by path, a registered type. What occurs twice has an ``id``
and is a ``ref`` the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, NoReturn

from afnio.errors import FileFormatError, InputTypeError, InputValueError, StateError

FORMAT: Final = "afnio"
VERSION: Final = 1
MEMBER: Final = "afnio.json"
TYPE: Final = "$type"

MAX_DEPTH: Final = 100
"""How deep saved values may nest."""

MAX_BYTES: Final = 256 * 2**20
"""How large the contents of a file may be before reading it is refused."""

MAX_KEY: Final = 1000
"""How many parts a dict key may have; hashing a tuple visits all of them."""

BUILT_IN: Final = frozenset(
    {
        "OrderedDict",
        "Variable",
        "dict",
        "float",
        "function",
        "int",
        "list",
        "ref",
        "tuple",
    }
)
"""The tags of the format itself."""


OURS: Final = {  # tag → the module of ours that registers it, imported on first use
    "Demonstrations": "afnio.cognitive.parameter",
    "Evidence": "afnio.autodiff.evidence",
    "Parameter": "afnio.cognitive.parameter",
}


@dataclass(frozen=True, slots=True)
class SavedFunction:
    """A function or class that was saved by its import path, for information.

    Loading imports nothing, so this record stands in its place.
    """

    path: str
    """Its module and qualified name, such as ``my_program.accuracy``."""

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse: the program has to supply the function itself.

        Raises:
            StateError: Always.
        """
        del args, kwargs
        raise StateError(
            f"{self.path} was saved by name only and is never imported on load; pass "
            "the function itself where it is needed."
        )


@dataclass(frozen=True, slots=True)
class StateType:
    """A type that can be saved, and how."""

    tag: str
    cls: type
    to_state: Callable[[Any], Any]
    from_state: Callable[[Any], Any]

    @property
    def module(self) -> str:
        """Where the type is defined; importing it registers it."""
        return self.cls.__module__


class Registry:
    """The types that take part in saved files beside the built-in ones."""

    def __init__(self) -> None:
        self._by_tag: dict[str, StateType] = {}
        self._by_class: dict[type, StateType] = {}

    def add(self, entry: StateType) -> None:
        """Add a type; the same class defined again (a reload) takes its place.

        Raises:
            InputTypeError: ``cls`` is not a class or a function is not callable.
            InputValueError: The tag is taken.
        """
        if not isinstance(entry.cls, type):
            raise InputTypeError(f"register_type needs a class, got {entry.cls!r}.")
        if not callable(entry.to_state) or not callable(entry.from_state):
            raise InputTypeError(
                f"register_type({entry.tag!r}): to_state and from_state must be "
                "functions of one argument."
            )
        old = self._by_tag.get(entry.tag)
        if entry.tag in BUILT_IN or (old and _name(old.cls) != _name(entry.cls)):
            taken = "the format itself" if old is None else _name(old.cls)
            raise InputValueError(
                f"register_type: the tag {entry.tag!r} belongs to {taken}; choose "
                "another one."
            )
        if old is not None:
            self._by_class.pop(old.cls, None)
        self._by_tag[entry.tag] = self._by_class[entry.cls] = entry

    def of_class(self, cls: type) -> StateType | None:
        """Return the entry of exactly this class."""
        return self._by_class.get(cls)

    def of_tag(self, tag: str) -> StateType | None:
        """Return the entry with this tag; modules of ours are imported for it."""
        if tag not in self._by_tag and tag in OURS:
            import_module(OURS[tag])
        return self._by_tag.get(tag)

    def tags(self) -> list[str]:
        """List the registered tags."""
        return sorted(self._by_tag)


def check_size(value: Any, limit: int = MAX_KEY) -> int:
    """Count the parts of a value, before anything else walks over all of them.

    A few bytes of sharing can describe a value that is huge when written out.

    Raises:
        FileFormatError: Written out, the value has more than ``limit`` parts.
    """
    left, count = [value], 0
    while left:
        item = left.pop()
        count += 1
        if isinstance(item, (list, tuple)):
            left.extend(item)
        elif isinstance(item, dict):
            left.extend(item.values())
        if count + len(left) > limit:
            raise FileFormatError(
                f"the file is damaged or hostile: a value has more than {limit} parts."
            )
    return count


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


REGISTRY: Final = Registry()
"""Filled while modules are imported, as `copyreg` is; it holds types, never values."""
