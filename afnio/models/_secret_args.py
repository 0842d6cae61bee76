"""Arguments of calls that may hold credentials: files keep their names, no values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from afnio.models._keys import SECRETIVE, digest_values

_MARK: Final = "__digests__"


def concealed(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``args`` as a state may hold them: digests in place of what may be secret.

    Examples:
        >>> kept = concealed({"model": "m", "extra_headers": {"Authorization": "sk-1"}})
        >>> list(kept["extra_headers"]["__digests__"])
        ['Authorization']
    """
    return {name: _digests(name, value) for name, value in args.items()}


def revealed(
    saved: Mapping[str, Any], own: Mapping[str, Any] | None
) -> tuple[dict[str, Any], list[str]]:
    """Return saved arguments with what may be secret as the program gives it.

    Args:
        saved: As `concealed` made them, or plain.
        own: The arguments of the object that is loaded.

    Returns:
        The arguments, and what is missing among the object's own.
    """
    found, missing = dict(saved), []
    for name in sorted(SECRETIVE & saved.keys()):
        if not _is_concealed(saved[name]):
            continue
        given = (own or {}).get(name)
        found[name] = given
        if not isinstance(given, Mapping) or saved[name][_MARK].keys() - given.keys():
            missing.append(f"{name} ({', '.join(saved[name][_MARK])})")
    return found, missing


def _digests(name: str, value: Any) -> Any:
    if name not in SECRETIVE or not isinstance(value, Mapping) or _is_concealed(value):
        return value
    return {_MARK: digest_values(value)}


def _is_concealed(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get(_MARK), Mapping)
