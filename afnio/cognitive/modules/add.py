"""Add as a module."""

from __future__ import annotations

from afnio._variable import Variable
from afnio.cognitive import functional
from afnio.cognitive.modules.module import Module


class Add(Module):
    """Add two Variables; see `afnio.autodiff.basic_ops.Add`."""

    def forward(self, x: Variable, y: Variable) -> Variable:
        """Return ``x + y``."""
        return functional.add(x, y)
