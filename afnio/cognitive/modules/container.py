"""Containers: modules and Parameters in lists and dicts, registered as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index as as_index
from typing import Any, Generic, Self, TypeVar, overload

from afnio._text import closest, shorten
from afnio._variable import Variable
from afnio.cognitive.modules._errors import SlotNameError
from afnio.cognitive.modules.module import Module
from afnio.cognitive.parameter import Parameter
from afnio.errors import InputTypeError, InputValueError

T = TypeVar("T", Module, Parameter)


class _Container(Module, Generic[T]):
    """A module whose items are registered; here they are modules."""

    def _store(self) -> dict[str, Any]:
        return self._modules

    def _checked(self, item: Any) -> Any:
        if not isinstance(item, Module):
            raise InputTypeError(
                f"{type(self).__name__} holds Modules, got {type(item).__name__}: "
                f"{shorten(item)}."
            )
        return item


class _OfParameters(_Container[Parameter]):
    """A container of Parameters."""

    def _store(self) -> dict[str, Any]:
        return self._parameters

    def _checked(self, item: Any) -> Any:
        return _as_parameter(self, item)

    def extra_repr(self) -> str:
        """Return one line per Parameter."""
        return _lines(self._parameters)

    def __str__(self) -> str:
        return repr(self)


class _List(_Container[T]):
    """A list whose items are registered under the names ``0``, ``1``, ``2``, …."""

    def _replace(self, items: Iterable[Any]) -> None:
        """Hold these items instead, in this order; all or nothing."""
        checked = [self._checked(item) for item in items]
        store = self._store()
        store.clear()
        for position, item in enumerate(checked):
            setattr(self, str(position), item)

    def _all(self) -> list[Any]:
        return list(self._store().values())

    def __len__(self) -> int:
        return len(self._store())

    def __iter__(self) -> Iterator[T]:
        return iter(self._all())

    def __contains__(self, item: object) -> bool:
        return any(item is mine for mine in self._all())

    @overload
    def __getitem__(self, position: int) -> T: ...
    @overload
    def __getitem__(self, position: slice) -> Self: ...
    def __getitem__(self, position: int | slice) -> T | Self:
        if isinstance(position, slice):
            return self._like(self._all()[position])
        item: T = self._all()[as_index(position)]
        return item

    def _like(self, items: list[Any]) -> Self:
        """Return a list of the same class with these items."""
        other = type(self)()
        other._replace(items)
        return other

    def __setitem__(self, position: int, item: T) -> None:
        items = self._all()
        items[as_index(position)] = item
        self._replace(items)

    def __delitem__(self, position: int | slice) -> None:
        items = self._all()
        del items[position]
        self._replace(items)

    def append(self, item: T) -> Self:
        """Add one at the end; return the list."""
        self._replace([*self._all(), item])
        return self

    def extend(self, items: Iterable[T]) -> Self:
        """Add several at the end; return the list."""
        self._replace([*self._all(), *items])
        return self

    def insert(self, position: int, item: T) -> None:
        """Put one before ``position``."""
        items = self._all()
        items.insert(position, item)
        self._replace(items)

    def pop(self, position: int = -1) -> T:
        """Remove one and return it."""
        items = self._all()
        item: T = items.pop(position)
        self._replace(items)
        return item

    def __add__(self, other: Iterable[T]) -> Self:
        return self._like([*self._all(), *other])

    def __iadd__(self, other: Iterable[T]) -> Self:
        return self.extend(other)


class ModuleList(_List[Module]):
    """A list of modules; it has no forward of its own.

    Args:
        modules: What it holds at first.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self._replace(modules)


class Sequential(_List[Module]):
    """Modules that run one after the other, each on what the one before returned.

    Args:
        *modules: In order; or one dict of names and modules.

    Examples:
        >>> import afnio, afnio.cognitive as cog
        >>> class Upper(cog.Module):
        ...     def forward(self, text):
        ...         return text.upper()
        >>> Sequential(Upper(), Upper())(afnio.Variable("hey")).data
        'HEY'
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, self._checked(module))
        else:
            self._replace(modules)

    def forward(self, x: Any) -> Any:
        """Run every module in order."""
        for module in self:
            x = module(x)
        return x

    def append(self, item: Module) -> Self:
        """Add a module at the end; return the list."""
        self.add_module(str(len(self)), self._checked(item))
        return self

    def __setitem__(self, position: int, item: Module) -> None:
        name = list(self._modules)[as_index(position)]
        setattr(self, name, self._checked(item))


class ParameterList(_OfParameters, _List[Parameter]):
    """A list of Parameters.

    Args:
        parameters: What it holds at first; a Variable becomes a Parameter with its data
            and role.
    """

    def __init__(self, parameters: Iterable[Parameter | Variable] = ()) -> None:
        super().__init__()
        self._replace(parameters)


class _Dict(_Container[T]):
    """A dict whose items are registered under their keys."""

    def __getitem__(self, key: str) -> T:
        store = self._store()
        if key not in store:
            raise SlotNameError(
                f"{type(self).__name__} has no {key!r}; {closest(str(key), store)}"
            )
        item: T = store[key]
        return item

    def __setitem__(self, key: str, item: T) -> None:
        if not isinstance(key, str):
            raise InputTypeError(f"keys must be str, got {type(key).__name__}.")
        setattr(self, key, self._checked(item))

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def __len__(self) -> int:
        return len(self._store())

    def __iter__(self) -> Iterator[str]:
        return iter(self._store())

    def __contains__(self, key: object) -> bool:
        return key in self._store()

    def keys(self) -> Iterable[str]:
        """Return the keys."""
        return self._store().keys()

    def values(self) -> Iterable[T]:
        """Return the items."""
        return self._store().values()

    def items(self) -> Iterable[tuple[str, T]]:
        """Return keys and items."""
        return self._store().items()

    def pop(self, key: str) -> T:
        """Remove one and return it."""
        item = self[key]
        del self._store()[key]
        return item

    def clear(self) -> None:
        """Remove all."""
        self._store().clear()

    def update(self, items: Mapping[str, T] | Iterable[tuple[str, T]]) -> None:
        """Add several; one with a key that is there takes its place."""
        pairs = items.items() if isinstance(items, Mapping) else items
        for key, item in [(key, self._checked(item)) for key, item in pairs]:
            self[key] = item


class ModuleDict(_Dict[Module]):
    """A dict of modules; it has no forward of its own.

    Args:
        modules: What it holds at first.
    """

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()
    ) -> None:
        super().__init__()
        self.update(modules)


class ParameterDict(_OfParameters, _Dict[Parameter]):
    """A dict of Parameters.

    Args:
        parameters: What it holds at first; a Variable becomes a Parameter with its data
            and role.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
    ) -> None:
        super().__init__()
        self.update(parameters)


def _as_parameter(owner: Module, item: Any) -> Parameter:
    if isinstance(item, Parameter):
        return item
    if isinstance(item, Variable):
        if not item.is_leaf:
            raise InputValueError(
                f"{type(owner).__name__} holds leaves, and an operation computed this "
                f"Variable (role {shorten(item.role)!r}); detach() it first."
            )
        return Parameter(item.data, item.role)
    raise InputTypeError(
        f"{type(owner).__name__} holds Parameters, got {type(item).__name__}: "
        f"{shorten(item)}."
    )


def _lines(parameters: Mapping[str, Parameter | None]) -> str:
    return "\n".join(
        f"({name}): Parameter({shorten(param.data, 40)!r}, role={param.role})"
        for name, param in parameters.items()
        if param is not None
    )


__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]
