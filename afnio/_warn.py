"""Warnings that point at the user's line, wherever afnio notices what they tell of."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

from afnio._loop import call_site, site_asked


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn at the line of the user's code that asked for what is going on.

    That is the nearest frame outside afnio; on afnio's own loop, which has none, the
    line that started the work. Filters by module see that line's module.
    """
    file, _, line = (call_site() or site_asked()).rpartition(":")
    if not file:
        warnings.warn(message, category, stacklevel=2)
        return
    module = _module_of(file)
    registry = vars(module).setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        message, category, file, int(line), module.__name__, registry
    )


def _module_of(file: str) -> ModuleType:
    """Return the module that a file holds; the program's own if that is none."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == file:
            return module
    return sys.modules["__main__"]
