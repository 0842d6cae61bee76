"""Data loading, data sets, and ready-made agents."""

from importlib import import_module
from types import ModuleType

from afnio.utils import data, datasets

__all__ = ["agents", "data", "datasets"]


def __getattr__(name: str) -> ModuleType:
    """Import `afnio.utils.agents` on first use: it stands on modules, data does not."""
    if name == "agents":
        return import_module("afnio.utils.agents")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
