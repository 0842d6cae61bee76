"""Sum as a module."""

from __future__ import annotations

from collections.abc import Sequence

from afnio._variable import Variable
from afnio.cognitive import functional
from afnio.cognitive.modules.module import Module


class Sum(Module):
    """Add a list or tuple of Variables; see `afnio.autodiff.basic_ops.Sum`."""

    def forward(self, x: Sequence[Variable]) -> Variable:
        """Return the sum."""
        return functional.sum(x)
