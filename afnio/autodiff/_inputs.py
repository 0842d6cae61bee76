"""The arguments of one call: the Variables in them, and how they were at that time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from afnio._data import copy_data
from afnio._dispatch import Deferred
from afnio._variable import Pending, Variable
from afnio.autodiff.graph import GradientEdge, edge_of

IS_VARIABLE: Final = -1
"""The count of an input that is itself a Variable."""

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


class Snapshot(Variable):
    """A Variable's value as it was when an operation was called."""

    __slots__ = ("origin",)

    origin: Variable

    def __getattr__(self, name: str) -> Any:
        """Find what a subclass of Variable adds, such as a Parameter's fields."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.origin, name)


def snapshot(variable: Variable) -> Snapshot:
    """Return a Variable's value as it is now; of a snapshot, the same one."""
    if isinstance(variable, Snapshot):
        return variable
    copy = Snapshot.__new__(Snapshot)
    Variable.__init__(copy, None, variable.role, variable.requires_grad)
    value = variable._value
    copy._value = value if type(value) is Pending else copy_data(value)
    copy._version = variable._version
    copy._evidence = variable._evidence
    copy.origin = variable
    return copy


class Inputs:
    """The arguments of one call, and the Variables in them.

    Attributes:
        variables: All of them, in order, those in lists and dicts too.
        counts: Per argument, how many Variables it holds; `IS_VARIABLE` if it is one.
            Keyword arguments follow, up to the last that holds any.
        needs_grad: Per argument, whether a Variable in it requires grad.
    """

    __slots__ = ("args", "counts", "kwargs", "needs_grad", "variables")

    def __init__(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self.args = args
        self.kwargs = kwargs or {}
        variables: list[Variable] = []
        counts, needs = [], []
        for arg in (*args, *kwargs.values()) if kwargs else args:
            if isinstance(arg, Variable):
                variables.append(arg)
                counts.append(IS_VARIABLE)
                needs.append(arg.requires_grad)
            elif type(arg) in _PLAIN:
                counts.append(0)
                needs.append(False)
            else:
                nested = variables_in(arg)
                variables += nested
                counts.append(len(nested))
                needs.append(any(item.requires_grad for item in nested))
        while len(counts) > len(args) and not counts[-1]:
            del counts[-1], needs[-1]
        self.variables = variables
        self.counts = tuple(counts)
        self.needs_grad = tuple(needs)

    def edges(self) -> tuple[GradientEdge, ...]:
        """Return one edge per Variable; a snapshot stands for its origin."""
        return tuple(
            [
                edge_of(item.origin if type(item) is Snapshot else item)
                for item in self.variables
            ]
        )

    def pending(self) -> list[Deferred[Any]]:
        """Return the jobs that have to finish first, and those that have failed."""
        jobs = []
        for variable in self.variables:
            value = variable._value
            if type(value) is Pending and not value.job.succeeded():
                jobs.append(value.job)
        return jobs

    def snapshots(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with every Variable as it is now."""
        copies = {id(variable): snapshot(variable) for variable in self.variables}
        args = tuple(_replace(arg, copies) for arg in self.args)
        return args, {key: _replace(arg, copies) for key, arg in self.kwargs.items()}


def variables_in(value: Any) -> list[Variable]:
    """List the Variables in nested lists, tuples and mappings, in order."""
    found: list[Variable] = []
    _find([value], found)
    return found


def _find(nested: Any, found: list[Variable]) -> None:
    """Add the Variables in ``nested`` to ``found``; every operation comes through."""
    if isinstance(nested, (list, tuple)):
        items: Iterable[Any] = nested
    elif isinstance(nested, (dict, Mapping)):  # the former is told apart in no time
        items = nested.values()
    else:
        return
    for item in items:
        if isinstance(item, Variable):
            found.append(item)
        elif type(item) not in _PLAIN:
            _find(item, found)


def flat(nested: Any) -> Iterable[Any]:
    """Yield the items of nested lists, tuples and mappings, in order."""
    if isinstance(nested, (list, tuple)):
        items: Iterable[Any] = nested
    elif type(nested) not in _PLAIN and isinstance(nested, Mapping):
        items = nested.values()
    else:
        yield nested
        return
    for item in items:
        yield from flat(item)


def _replace(value: Any, copies: Mapping[int, Snapshot]) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Variable):
        return copies[id(value)]
    if isinstance(value, (list, tuple)):
        items = [_replace(item, copies) for item in value]
        if hasattr(value, "_make"):  # a named tuple
            return value._make(items)
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, (dict, Mapping)):
        return {key: _replace(item, copies) for key, item in value.items()}
    return value
