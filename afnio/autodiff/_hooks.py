"""Running users' hooks during a backward: on Variables and on nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afnio._dispatch import call_user
from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff.graph import AccumulateGrad, Node
from afnio.errors import GradientCountError, InputTypeError


async def run_output_hooks(
    node: Node, grads: list[Variable | None]
) -> list[Variable | None]:
    """Show a node's gradients to the hooks on its outputs, then to its pre-hooks."""
    if node._hooks is None:
        return grads
    for output_nr, hooks in sorted(node._hooks.gradients.items()):
        for hook in list(hooks.values()):
            if (gradient := grads[output_nr]) is not None:
                grads[output_nr] = _replaced(gradient, await call_user(hook, gradient))
    for hook in list(node._hooks.pre.values()):
        changed = await call_user(hook, tuple(grads))
        if changed is not None:
            grads = _all_replaced(node, changed, grads)
    return grads


async def run_post_hooks(
    node: Node, grad_inputs: Sequence[Any], grad_outputs: Sequence[Variable]
) -> Sequence[Any]:
    """Show what a node's backward returned, flat, to the hooks on the node."""
    if node._hooks is None:
        return grad_inputs
    for hook in list(node._hooks.post.values()):
        changed = await call_user(hook, tuple(grad_inputs), tuple(grad_outputs))
        if changed is not None:
            grad_inputs = _all_replaced(node, changed, grad_inputs)
    return grad_inputs


async def run_leaf_hooks(leaf: AccumulateGrad, gradient: Variable) -> Variable:
    """Show one gradient that reached a leaf to the leaf's hooks, then the node's."""
    try:
        return await _run_leaf_hooks(leaf, gradient)
    except Exception as error:
        error.add_note(f"in a hook on the leaf {shorten(leaf.variable.role)!r}")
        raise


async def _run_leaf_hooks(leaf: AccumulateGrad, gradient: Variable) -> Variable:
    for hook in list((leaf.variable._hooks or {}).values()):
        gradient = _replaced(gradient, await call_user(hook, gradient))
    if leaf._hooks is None:
        return gradient
    for hook in list(leaf._hooks.pre.values()):
        changed = await call_user(hook, (gradient,))
        if changed is not None:
            gradient = _replaced(gradient, _all_replaced(leaf, changed, [gradient])[0])
    for hook in list(leaf._hooks.post.values()):
        await call_user(hook, (), (gradient,))
    return gradient


def _replaced(gradient: Variable, changed: Any) -> Variable:
    if changed is None or isinstance(changed, Variable):
        return gradient if changed is None else changed
    raise InputTypeError(
        f"a gradient hook returned {type(changed).__name__}; expected a Variable, or "
        "None to leave the gradient as it is."
    )


def _all_replaced(node: Node, changed: Any, grads: Sequence[Any]) -> list[Any]:
    kind = type(node).__name__
    changed = [changed] if isinstance(changed, Variable) else changed
    if not isinstance(changed, (tuple, list)):
        raise InputTypeError(
            f"a hook on {kind} returned {type(changed).__name__}; expected a "
            "tuple of gradients, or None to leave them as they are."
        )
    if len(changed) != len(grads):
        raise GradientCountError(
            f"a hook on {kind} returned {len(changed)} gradients in place of "
            f"{len(grads)}."
        )
    return [_gradient(node, item) for item in changed]


def _gradient(node: Node, item: Any) -> Variable | None:
    if item is None or isinstance(item, Variable):
        return item
    if isinstance(item, str):
        return Variable(item)
    raise InputTypeError(
        f"a hook on {type(node).__name__} returned a gradient of type "
        f"{type(item).__name__}; expected a Variable, a text or None."
    )
