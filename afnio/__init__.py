"""PyTorch for programs made of language-model calls."""

from afnio import autodiff
from afnio._dispatch import eager, synchronize
from afnio._variable import Variable, is_scalar_variable, is_variable
from afnio._version import __version__
from afnio.autodiff import (
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from afnio.autodiff.graph import GradientEdge, Node

__all__ = [
    "GradientEdge",
    "Node",
    "Variable",
    "__version__",
    "autodiff",
    "eager",
    "enable_grad",
    "is_grad_enabled",
    "is_scalar_variable",
    "is_variable",
    "no_grad",
    "set_grad_enabled",
    "synchronize",
]
