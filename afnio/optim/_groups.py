"""Validation of what an optimizer is given to optimize."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from afnio._text import closest, shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError

ParamsT: TypeAlias = Iterable[Variable] | Iterable[dict[str, Any]]
"""Parameters in a fixed order, or group dicts that each hold ``params``."""

_FREE_KEYS = {"params", "name"}


def as_groups(params: ParamsT) -> list[dict[str, Any]]:
    """Return parameter groups as dicts with a list of ``params`` each.

    Raises:
        InputTypeError: A single Variable, or an unordered collection.
        InputValueError: There is nothing to optimize.
    """
    if isinstance(params, (Variable, str)) or not isinstance(params, Iterable):
        raise InputTypeError(
            "params must be an iterable of Variables or of group dicts, got "
            f"{type(params).__name__}; put a single parameter in a list."
        )
    _refuse_unordered(params)
    found: list[Any] = [params] if isinstance(params, Mapping) else list(params)
    if not found:
        raise InputValueError(
            "the optimizer got an empty parameter list; pass module.parameters() of a "
            "module that has Parameters."
        )
    if isinstance(found[0], Mapping):
        return [dict(group) for group in found]
    return [{"params": found}]


def complete(group: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group with missing options filled in and its parameters checked.

    Raises:
        InputTypeError: Not a dict, or a parameter is no Variable.
        InputValueError: An unknown option, no parameters, or one that cannot be
            optimized.
    """
    if not isinstance(group, Mapping):
        raise InputTypeError(
            f"a parameter group must be a dict, got {type(group).__name__}."
        )
    if "params" not in group:
        raise InputValueError("a parameter group needs the key 'params'.")
    for key in group:
        if key not in defaults and key not in _FREE_KEYS:
            raise InputValueError(
                f"a parameter group has the unknown option {shorten(key)!r}; "
                f"{closest(str(key), defaults)}"
            )
    params = group["params"]
    _refuse_unordered(params)
    members = [params] if isinstance(params, Variable) else list(params)
    if not members:
        raise InputValueError("a parameter group is empty; give it a parameter.")
    for member in members:
        _check_parameter(member)
    return {**defaults, **group, "params": members}


def check_distinct(groups: Iterable[Mapping[str, Any]]) -> None:
    """Raise if a parameter appears twice, in one group or in two.

    Raises:
        InputValueError: Naming its role.
    """
    seen: set[Variable] = set()
    for param in _members(groups):
        if param in seen:
            raise InputValueError(
                f"the parameter with role {shorten(param.role)!r} appears twice; each "
                "parameter belongs to one group, once."
            )
        seen.add(param)


def _members(groups: Iterable[Mapping[str, Any]]) -> Iterator[Variable]:
    for group in groups:
        yield from group["params"]


def _refuse_unordered(params: Any) -> None:
    if isinstance(params, (set, frozenset)):
        raise InputTypeError(
            "params must be in a fixed order, or runs cannot be repeated; got a "
            f"{type(params).__name__}. Pass a list."
        )


def _check_parameter(param: Any) -> None:
    if not isinstance(param, Variable):
        raise InputTypeError(
            f"an optimizer optimizes Variables, got {type(param).__name__}: "
            f"{shorten(param)}."
        )
    if not param.is_leaf:
        raise InputValueError(
            f"cannot optimize a Variable that an operation computed (role "
            f"{shorten(param.role)!r}); optimize the leaf it came from."
        )
