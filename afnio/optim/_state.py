"""An optimizer's state as plain data, and back.

Variables, tuples and dicts with keys other than text are written as tagged dicts, so
JSON keeps them apart. Model clients are described; connections and keys are not data.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from afnio._variable import Variable
from afnio.errors import InputValueError
from afnio.models import BaseModel
from afnio.models._roles import BackwardModelClient
from afnio.models._secret_args import concealed, revealed

VARIABLE: Final = "__variable__"
TUPLE: Final = "__tuple__"
MAPPING: Final = "__mapping__"
_ARGS: Final = "completion_args"
_CLIENT_KEYS: Final = {"class_type", "provider", "usage"}


def to_plain(value: Any) -> Any:
    """Return ``value`` with every Variable, tuple and client written as plain data."""
    if isinstance(value, Variable):
        held = {
            "data": value.data,
            "role": value.role,
            "requires_grad": value.requires_grad,
        }
        return {VARIABLE: held}
    if isinstance(value, (BackwardModelClient, BaseModel)):
        client = value.client if isinstance(value, BackwardModelClient) else value
        return copy.deepcopy(client)
    if isinstance(value, (list, tuple)):
        items = [to_plain(item) for item in value]
        return {TUPLE: items} if isinstance(value, tuple) else items
    return _plain_mapping(value) if isinstance(value, Mapping) else value


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if all(isinstance(key, str) and not key.startswith("__") for key in value):
        return {key: to_plain(item) for key, item in value.items()}
    return {MAPPING: [[to_plain(k), to_plain(v)] for k, v in value.items()]}


def from_plain(value: Any) -> Any:
    """Return what `to_plain` was given; clients stay descriptions."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, Mapping):
        return copy.deepcopy(value)
    if VARIABLE in value:
        return Variable(**value[VARIABLE])
    if TUPLE in value:
        return tuple(from_plain(item) for item in value[TUPLE])
    if MAPPING in value:
        return {from_plain(k): from_plain(v) for k, v in value[MAPPING]}
    return {key: from_plain(item) for key, item in value.items()}


def is_client(value: Any) -> bool:
    """Whether plain data describes a model client."""
    return isinstance(value, Mapping) and set(value) == _CLIENT_KEYS


def without_secrets(group: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a group's options, with digests in place of what may be secret."""
    for key, value in group.items():
        yield key, concealed(value) if key == _ARGS else value


def with_secrets(key: str, value: Any, group: Mapping[str, Any]) -> Any:
    """Return a restored option with what may be secret as ``group`` has it.

    Raises:
        InputValueError: The group has not been given it again.
    """
    if key != _ARGS or not isinstance(value, Mapping):
        return value
    args, missing = revealed(value, group.get(key))
    if missing:
        raise InputValueError(
            f"a saved state holds no values of {', '.join(missing)}, which may be "
            "secret; give them to the optimizer again before loading. Nothing has "
            "changed."
        )
    return args


def restore_option(key: str, value: Any, group: int, clients: Mapping[str, Any]) -> Any:
    """Return a group option from plain data, clients replaced by the given ones.

    Args:
        key: The option's name.
        value: Its plain data.
        group: Number of its group.
        clients: By option, or by ``"<group>.<option>"`` where groups differ.

    Raises:
        InputValueError: A client is needed and not given.
    """
    if not is_client(value):
        return from_plain(value)
    for name in (f"{group}.{key}", key):
        if name in clients:
            return clients[name]
    raise InputValueError(
        f"parameter group {group} was saved with a model client as {key!r} "
        f"({value['class_type']}, provider {value['provider']!r}); pass "
        f"load_state_dict(..., model_clients={{{key!r}: client}})."
    )
