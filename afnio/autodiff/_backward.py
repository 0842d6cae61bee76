"""`backward` and `grad`: what a user may ask of the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from afnio import _dispatch
from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff._engine import Outcome, Pass
from afnio.autodiff._merge import check_fit, merge
from afnio.autodiff._plan import Plan
from afnio.autodiff.function import is_evaluator
from afnio.autodiff.graph import (
    AccumulateGrad,
    GradientEdge,
    Node,
    edge_of,
    get_gradient_edge,
)
from afnio.errors import InputTypeError, InputValueError, StateError

GradInputs = Variable | GradientEdge | Sequence[Variable | GradientEdge]


def backward(
    variables: Variable | Sequence[Variable],
    grad_variables: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: GradInputs | None = None,
) -> None:
    """Send feedback from ``variables`` to the leaves and append it to their ``grad``.

    Several roots share one pass, so their model calls overlap. On any failure nothing
    has been appended anywhere, and the graph is as it was.

    Args:
        variables: Where to start.
        grad_variables: Feedback on each; None where the root is an evaluator's output.
        retain_graph: Keep what the graph saved; default is the value of
            ``create_graph``.
        create_graph: Record the critic calls themselves, so that gradients have
            gradients: the critic's prompt (`critic_prompt`), the feedback it was given
            and the inputs it criticised.
        inputs: Append only to these leaves, given as Variables or edges; what leads
            to none of them does not run.

    Hooks and users' own `Function.backward` run off the event loop, one at a time.

    Model calls: one critic call per failing sample and model operation; none for
    samples whose feedback is empty. A backward through gradients made with
    ``create_graph`` costs one more critic call for each critic call that it passes.

    Raises:
        StateError: A root is not part of a graph, lacks its gradient, or the graph was
            freed; an input is not a leaf.
        InputTypeError: An argument is not a Variable.
        ReplyError: A critic's replies were unusable, three times.
        ModelError: A model call failed for good.
    """
    work = plan_backward(variables, grad_variables, retain_graph, create_graph, inputs)
    _dispatch.run_sync(_execute(work))


async def abackward(
    variables: Variable | Sequence[Variable],
    grad_variables: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: GradInputs | None = None,
) -> None:
    """Await what `backward` does."""
    work = plan_backward(variables, grad_variables, retain_graph, create_graph, inputs)
    await _dispatch.on_loop(_execute(work))


def plan_backward(
    variables: Variable | Sequence[Variable],
    grad_variables: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: GradInputs | None = None,
) -> Pass:
    """Validate the arguments of `backward` and return the pass that it runs."""
    plan = _plan(variables, grad_variables, retain_graph, create_graph)
    plan.wanted = _leaf_edges(inputs)
    return Pass(plan)


async def _execute(work: Pass) -> None:
    (await work.run()).commit()


def grad(
    outputs: Variable | Sequence[Variable],
    inputs: GradInputs,
    grad_outputs: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Variable | None, ...]:
    """Return feedback on ``inputs``, without touching any ``grad``.

    Args:
        outputs: Where to start.
        inputs: Variables or edges, leaves or not; an input reached along several paths
            gets the merged feedback.
        grad_outputs: Feedback on each output; None where it is an evaluator's.
        retain_graph: As for `backward`.
        create_graph: As for `backward`.
        allow_unused: Return None for an input that was not reached, instead of raising.

    Returns:
        One gradient per input.

    Model calls: as for `backward`, for the nodes between outputs and inputs only.

    Raises:
        StateError: As for `backward`; or an input was not reached.
        InputTypeError: As for `backward`.
    """
    edges, work = _grad_plan(outputs, inputs, grad_outputs, retain_graph, create_graph)
    return _captured(edges, _dispatch.run_sync(work.run()), allow_unused)


async def agrad(
    outputs: Variable | Sequence[Variable],
    inputs: GradInputs,
    grad_outputs: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Variable | None, ...]:
    """Await what `grad` does."""
    edges, work = _grad_plan(outputs, inputs, grad_outputs, retain_graph, create_graph)
    return _captured(edges, await _dispatch.on_loop(work.run()), allow_unused)


def _grad_plan(
    outputs: Variable | Sequence[Variable],
    inputs: GradInputs,
    grad_outputs: Variable | Sequence[Variable | None] | None,
    retain_graph: bool | None,
    create_graph: bool,
) -> tuple[list[GradientEdge], Pass]:
    plan = _plan(outputs, grad_outputs, retain_graph, create_graph)
    plan.wanted = [
        item if isinstance(item, GradientEdge) else get_gradient_edge(item)
        for item in _as_inputs(inputs)
    ]
    plan.capture = True
    return plan.wanted, Pass(plan)


def _captured(
    edges: list[GradientEdge], outcome: Outcome, allow_unused: bool
) -> tuple[Variable | None, ...]:
    found = [outcome.captured.get(edge) for edge in edges]
    for position, gradients in enumerate(found):
        if gradients is None and not allow_unused:
            raise StateError(
                f"input {position} of grad() was not reached from the outputs; pass "
                "allow_unused=True to get None for it."
            )
    return tuple(None if item is None else merge(item) for item in found)


def _plan(
    variables: Variable | Sequence[Variable],
    grad_variables: Variable | Sequence[Variable | None] | None,
    retain_graph: bool | None,
    create_graph: bool,
) -> Plan:
    roots = _as_list(variables, "variables")
    if grad_variables is None:
        gradients: list[Variable | None] = [None] * len(roots)
    else:
        gradients = _as_list(grad_variables, "grad_variables", optional=True)
    if len(gradients) != len(roots):
        raise StateError(
            f"backward got {len(roots)} variables but {len(gradients)} gradients; give "
            "one gradient (or None) per variable."
        )
    return Plan(
        roots=[_root(*pair) for pair in zip(roots, gradients, strict=True)],
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
    )


def _root(
    variable: Variable | None, gradient: Variable | None
) -> tuple[GradientEdge, Variable]:
    assert variable is not None
    if not variable.requires_grad:
        raise StateError(
            f"backward from a Variable (role {shorten(variable.role)!r}) that neither "
            "requires grad nor has a grad_fn."
        )
    if gradient is None and not is_evaluator(variable.grad_fn):
        raise StateError(
            f"backward from a Variable (role {shorten(variable.role)!r}) that no "
            "evaluator computed needs a gradient: pass backward(Variable('feedback')). "
            "Without one, every gradient would be empty."
        )
    _check_batch(variable, gradient)
    return edge_of(variable), Variable() if gradient is None else gradient


def _check_batch(variable: Variable, gradient: Variable | None) -> None:
    """Raise if feedback per sample cannot be matched with the samples."""
    if gradient is None or not (variable.is_ready() and gradient.is_ready()):
        return
    if isinstance(gradient.data, list):
        check_fit(gradient.data, variable.data)


def _as_list(
    value: Variable | Sequence[Variable | None], name: str, *, optional: bool = False
) -> list[Variable | None]:
    values = [value] if isinstance(value, Variable) else value
    if not isinstance(values, (list, tuple)):
        raise InputTypeError(
            f"{name} must be a Variable or a sequence of them, got "
            f"{type(values).__name__}."
        )
    for item in values:
        if not isinstance(item, Variable) and not (optional and item is None):
            raise InputTypeError(
                f"{name} must hold Variables, got {type(item).__name__}."
            )
    return list(values)


def _as_inputs(inputs: GradInputs) -> list[Variable | GradientEdge]:
    if isinstance(inputs, (Variable, GradientEdge)):
        inputs = [inputs]
    if not isinstance(inputs, Iterable):
        raise InputTypeError(
            f"inputs must hold Variables or GradientEdges, got {shorten(inputs)}."
        )
    found = list(inputs)
    if not found:
        raise StateError("inputs is empty; pass None to reach every leaf.")
    for item in found:
        if not isinstance(item, (Variable, GradientEdge)):
            raise InputTypeError(
                "inputs must hold Variables or GradientEdges, got "
                f"{type(item).__name__}."
            )
        if isinstance(item, GradientEdge):
            _check_edge(item)
    return found


def _check_edge(edge: GradientEdge) -> None:
    node, output_nr = edge
    if not isinstance(node, Node):
        raise InputTypeError(
            f"a GradientEdge in inputs has no node, got {shorten(node)}; "
            "afnio.autodiff.graph.get_gradient_edge(variable) returns one."
        )
    if output_nr not in range(node._outputs):
        raise InputValueError(
            f"a GradientEdge in inputs names output {output_nr!r} of "
            f"{type(node).__name__}, which has {node._outputs}, counted from 0."
        )


def _leaf_edges(inputs: GradInputs | None) -> list[GradientEdge] | None:
    if inputs is None:
        return None
    edges = []
    for item in _as_inputs(inputs):
        edge = item if isinstance(item, GradientEdge) else edge_of(item)
        if not isinstance(edge.node, AccumulateGrad):
            raise StateError(
                "backward(inputs=...) takes leaves that require grad; use "
                "afnio.autodiff.grad for other Variables."
            )
        edges.append(edge)
    return edges
