"""gradcheck: does a Function keep the promises that the engine relies on?

There are no numbers to compare, so the check is structural: arity, purity, determinism,
shapes, and that saying nothing costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from afnio._data import copy_data
from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff._backward import grad
from afnio.autodiff._inputs import variables_in
from afnio.autodiff._merge import is_empty
from afnio.errors import InputTypeError, StateError

PROBE: Final = "Name the year."
"""The feedback that is sent back during the check."""

Grads = tuple[Variable | None, ...]


class GradcheckError(StateError):
    """A Function broke a promise; the message lists all that were broken."""


def gradcheck(
    fn: Callable[..., Any],
    inputs: Variable | Sequence[Any],
    *,
    raise_exception: bool = True,
) -> bool:
    """Check an operation on given inputs, without writing any ``grad``.

    It must give equal results when called twice, leave its inputs alone, record a
    graph, return one gradient per tracked input in that input's shape, do so twice
    alike, and answer empty feedback with empty gradients.

    Args:
        fn: The operation, such as ``MyFunction.apply``.
        inputs: Its arguments, or its only one; a Variable in them requires grad.
        raise_exception: Raise what was found, instead of returning False.

    Model calls: two forward and three backward passes of ``fn``; use a scripted model.

    Raises:
        GradcheckError: A promise was broken.
        InputTypeError: No Variable among the inputs requires grad, or ``fn`` cannot be
            called.

    Examples:
        >>> gradcheck(Variable.upper, [Variable("a", "text", requires_grad=True)])
        True
    """
    if not callable(fn):
        raise InputTypeError(f"gradcheck needs a function, got {shorten(fn)}.")
    if isinstance(inputs, Variable):
        inputs = [inputs]
    tracked = [item for item in variables_in(list(inputs)) if item.requires_grad]
    if not tracked:
        raise InputTypeError("gradcheck needs a Variable that requires grad.")
    broken = list(_broken(fn, inputs, tracked))
    if broken and raise_exception:
        name = getattr(fn, "__qualname__", repr(fn))
        raise GradcheckError("\n  - ".join([f"{name} fails gradcheck:", *broken]))
    return not broken


def _broken(
    fn: Callable[..., Any], inputs: Sequence[Any], tracked: list[Variable]
) -> Iterator[str]:
    before = [copy_data(variable.data) for variable in tracked]
    outputs, again = _outputs(fn(*inputs)), _outputs(fn(*inputs))
    if [item.data for item in outputs] != [item.data for item in again]:
        yield "forward is not deterministic: two calls gave different results."
    if [variable.data for variable in tracked] != before:
        yield "forward changed its inputs in place."
    roots = [item for item in outputs if item.grad_fn is not None]
    if not roots:
        yield "no output is part of a graph, although an input requires grad."
        return
    first, second = _grads(roots, tracked, PROBE), _grads(roots, tracked, PROBE)
    if _texts(first) != _texts(second):
        yield "backward is not deterministic: two passes gave different gradients."
    for variable, gradient in zip(tracked, first, strict=True):
        yield from _misfits(variable, gradient)
    silent = [item for item in _grads(roots, tracked, "") if item is not None]
    if not all(is_empty(item.data) for item in silent):
        yield "empty feedback must give empty gradients; it means nothing to improve."


def _outputs(result: Any) -> list[Variable]:
    outputs = list(result) if isinstance(result, tuple) else [result]
    for item in outputs:
        if not isinstance(item, Variable):
            raise InputTypeError(
                f"gradcheck takes functions that return Variables, got {shorten(item)}."
            )
    return outputs


def _grads(roots: list[Variable], tracked: list[Variable], text: str) -> Grads:
    feedback = [Variable(text) for _ in roots]
    return grad(roots, tracked, feedback, retain_graph=True, allow_unused=True)


def _texts(grads: Grads) -> list[Any]:
    return [None if gradient is None else gradient.data for gradient in grads]


def _misfits(variable: Variable, gradient: Variable | None) -> Iterator[str]:
    name = f"the input with the role {shorten(variable.role)!r}"
    if gradient is None:
        yield f"{name} requires grad but got no gradient."
    elif is_empty(gradient.data):
        yield f"{name} got an empty gradient, although there was feedback."
    elif isinstance(gradient.data, list) and (
        not isinstance(variable.data, list) or len(variable.data) != len(gradient.data)
    ):
        yield (
            f"{name} got a gradient of shape {gradient.shape}, its own is "
            f"{variable.shape}."
        )
