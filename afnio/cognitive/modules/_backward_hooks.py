"""Backward hooks of a module: what feedback comes in at its results, and goes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from afnio._dispatch import call_user
from afnio._variable import Variable
from afnio.autodiff._boundary import through
from afnio.autodiff._inputs import variables_in
from afnio.autodiff.grad_mode import is_grad_enabled
from afnio.errors import GradientCountError, InputTypeError

if TYPE_CHECKING:
    from afnio.cognitive.modules._hooks import Callables

Grads = tuple[Variable | None, ...]


class Crossing:
    """One call of a module that has backward hooks.

    Args:
        module: Whose hooks they are; they are looked up when backward gets there.
    """

    def __init__(self, module: Callables) -> None:
        self._module = module
        self._inputs = 0
        self._outputs: list[Variable] = []
        self._grad_output: Grads = ()

    def enter(self, values: Any) -> Any:
        """Return the arguments behind a node of their own."""
        tracked = [item for item in variables_in(values) if item.requires_grad]
        if not tracked or not is_grad_enabled():
            return values
        made = through(tracked)
        self._inputs = len(made)
        node = made[0].grad_fn
        assert node is not None
        node.register_hook(self._leave_by_inputs)
        return replaced(values, dict(zip(map(id, tracked), made, strict=True)))

    def leave(self, result: Any) -> Any:
        """Return the result; if it comes from several nodes, behind one of its own."""
        found = [item for item in variables_in(result) if item.grad_fn is not None]
        if not found:
            return result
        if len({id(item.grad_fn) for item in found}) > 1:
            made = through(found)
            result = replaced(result, dict(zip(map(id, found), made, strict=True)))
            found = list(made)
        self._outputs = found
        node = found[0].grad_fn
        assert node is not None
        node.register_prehook(self._come_in)
        return result

    async def _come_in(self, grads: Sequence[Variable | None]) -> Grads:
        """Show the gradients of the results to the pre-hooks, which may change them."""
        places = [item.output_nr for item in self._outputs]
        seen: Grads = tuple(grads[place] for place in places)
        for hook in tuple(self._module._backward_pre_hooks.values()):
            seen = changed(hook, await call_user(hook, self._module, seen), seen)
        self._grad_output = seen
        if not self._inputs:
            for hook in tuple(self._module._backward_hooks.values()):
                changed(hook, await call_user(hook, self._module, (), seen), ())
        result = list(grads)
        for place, grad in zip(places, seen, strict=True):
            result[place] = grad
        return tuple(result)

    async def _leave_by_inputs(self, grads: Sequence[Any], _: Sequence[Any]) -> Grads:
        """Show the gradients of the arguments to the hooks, which may change them."""
        seen: Grads = tuple(grads)
        for hook in tuple(self._module._backward_hooks.values()):
            answer = await call_user(hook, self._module, seen, self._grad_output)
            seen = changed(hook, answer, seen)
        return seen


def changed(hook: Callable[..., Any], answer: Any, grads: Grads) -> Grads:
    """Return the gradients after a hook has answered.

    Raises:
        InputTypeError: It answered neither None, a Variable nor a tuple of them.
        GradientCountError: It answered with another number of gradients.
    """
    if answer is None:
        return grads
    answer = (answer,) if isinstance(answer, Variable) else answer
    name = getattr(hook, "__name__", type(hook).__name__)
    if not isinstance(answer, (tuple, list)) or not all(
        item is None or isinstance(item, Variable) for item in answer
    ):
        raise InputTypeError(
            f"the backward hook {name} returned {type(answer).__name__}; expected None "
            "or a tuple of gradients, each a Variable or None."
        )
    if len(answer) != len(grads):
        raise GradientCountError(
            f"the backward hook {name} returned {len(answer)} gradients in place of "
            f"{len(grads)}."
        )
    return tuple(answer)


def replaced(value: Any, twins: Mapping[int, Variable]) -> Any:
    """Return nested containers with Variables replaced, the rest as it was."""
    if isinstance(value, Variable):
        return twins.get(id(value), value)
    if isinstance(value, dict):
        return {key: replaced(item, twins) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [replaced(item, twins) for item in value]
        if hasattr(value, "_fields"):  # a named tuple
            return type(value)(*items)
        return items if isinstance(value, list) else tuple(items)
    return value
