"""Names of a package that are imported when first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def attach(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    Args:
        package: The package's ``__name__``.
        names: Name → ``"module"``, or ``"module:attribute"``.
    """

    def find(name: str) -> Any:
        if name not in names:
            hint = _hint(name, listing())
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        module, _, attribute = names[name].partition(":")
        value = import_module(module)
        value = getattr(value, attribute) if attribute else value
        setattr(sys.modules[package], name, value)
        return value

    def listing() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return find, listing


def _hint(name: str, names: Iterable[str]) -> str:
    """Return what is meant by a mistyped name, to end an error; else nothing."""
    if name.startswith("_"):  # asked for by tools, and not shown to anybody
        return ""
    import difflib  # slow to import, and needed only to word an error

    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
