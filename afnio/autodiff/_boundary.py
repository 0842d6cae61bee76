"""A node through which Variables pass unchanged, so that hooks can stand there."""

from __future__ import annotations

from collections.abc import Sequence

from afnio._variable import Variable
from afnio.autodiff._inputs import Inputs
from afnio.autodiff._merge import is_empty
from afnio.autodiff._node import FunctionNode
from afnio.autodiff.function import Function, _own


class Boundary(Function):
    """The identity on several Variables: one node through which all of them go."""

    _trusted = True

    @staticmethod
    def backward(ctx: FunctionNode, *grads: Variable) -> tuple[Variable | None, ...]:
        """Pass every gradient on; nothing goes to what no one gave feedback on."""
        del ctx
        return tuple(
            None if not grad.role and is_empty(grad.data) else grad for grad in grads
        )


def through(variables: Sequence[Variable]) -> tuple[Variable, ...]:
    """Return the same Variables behind one node, pending ones without waiting."""
    inputs = Inputs(tuple(variables))
    node = Boundary._node_type(inputs)
    node.next_functions = inputs.edges()
    node._outputs = len(variables)
    made = []
    for index, variable in enumerate(variables):
        twin = Variable._make(_own(variable), variable.role, node, index)
        twin._evidence = variable._evidence
        made.append(twin)
    return tuple(made)
