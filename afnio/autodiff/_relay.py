"""Feedback that was worded anew stays connected to the feedback it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from afnio._variable import Variable
from afnio.autodiff._inputs import Inputs
from afnio.autodiff._node import FunctionNode
from afnio.autodiff.function import Function
from afnio.autodiff.grad_mode import is_grad_enabled

V = TypeVar("V", bound=Variable)


class Relay(Function):
    """The step from feedback to the same feedback behind a lead-in, or merged.

    It is recorded only in a backward with ``create_graph``, so that an outer backward
    finds its way through operations that pass feedback on.
    """

    _trusted = True

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Pass on what was said about the wording to all that went into it."""
        return tuple(grad for _ in ctx.next_functions)


def connect(result: V, sources: Sequence[Variable]) -> V:
    """Record that ``result`` came from ``sources``, if any of them is tracked."""
    if any(source.requires_grad for source in sources) and is_grad_enabled():
        inputs = Inputs(tuple(sources))
        node = Relay._node_type(inputs)
        node.next_functions = inputs.edges()
        result._grad_fn = node
        result.requires_grad = True
    return result
