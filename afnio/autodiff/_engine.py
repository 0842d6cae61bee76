"""The backward pass: schedule ready nodes, deliver in order, commit at the end.

A node runs as soon as all its consumers have delivered; nodes that call a model run
concurrently. What arrives is ordered by the graph, never by which call came back first.
Nothing is written to any ``grad`` before everything has succeeded.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from afnio._dispatch import call_user
from afnio._variable import Variable
from afnio.autodiff._merge import merge
from afnio.autodiff.grad_mode import _enabled
from afnio.autodiff.graph import AccumulateGrad, GradientEdge, Node
from afnio.errors import InputTypeError, StateError

_BREATHE_EVERY: Final = 512
"""Nodes after which the pass lets other tasks of the loop run."""


@dataclass(slots=True)
class Plan:
    """What one backward has been asked to do."""

    roots: list[tuple[GradientEdge, Variable]]
    wanted: list[GradientEdge] | None = None
    """Only these edges; None means every leaf."""
    capture: bool = False
    """Return the gradients of ``wanted`` and write no ``grad``."""
    retain_graph: bool = False
    create_graph: bool = False


@dataclass(slots=True)
class Arrival:
    """One gradient on its way to a node, with its place in the graph's order."""

    order: tuple[int, int]
    output_nr: int
    gradient: Variable


@dataclass(slots=True)
class Outcome:
    """What a pass wants written, in graph order."""

    deposits: list[tuple[Variable, Variable]] = field(default_factory=list)
    captured: dict[GradientEdge, list[Variable]] = field(default_factory=dict)

    def commit(self) -> None:
        """Append every gradient; this cannot fail."""
        for variable, gradient in self.deposits:
            if not gradient.role:
                gradient.role = f"feedback to {variable.role}"
            if variable._grad is None:
                variable._grad = []
            variable._grad.append(gradient)


def topological(roots: Iterable[Node]) -> list[Node]:
    """List reachable nodes, every node after all nodes that consume its outputs.

    Raises:
        StateError: A node has been freed by an earlier backward.
    """
    seen: set[Node] = set()
    done: list[Node] = []
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(root.next_functions))]
        while stack:
            node, edges = stack[-1]
            for edge in edges:
                following = edge.node
                if following is not None and following not in seen:
                    seen.add(following)
                    stack.append((following, iter(following.next_functions)))
                    break
            else:
                stack.pop()
                done.append(node)
    done.reverse()
    return done


class Pass:
    """One backward pass over the part of the graph that is needed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.nodes = self._needed(topological(_nodes(plan.roots)))
        self.waiting: dict[Node, int] = dict.fromkeys(self.nodes, 0)
        for node in self.nodes:
            if node.freed:
                raise StateError(
                    f"backward through {node.name()} a second time: its graph was "
                    "freed by the first. Pass retain_graph=True to the first backward."
                )
            for edge in node.next_functions:
                if edge.node in self.waiting:
                    self.waiting[edge.node] += 1
        self.inbox: dict[Node, list[Arrival]] = {}
        self.ready: deque[Node] = deque()
        self.outcome = Outcome()
        self._deposits: list[tuple[int, tuple[int, int], Variable, Variable]] = []

    def _needed(self, nodes: list[Node]) -> list[Node]:
        wanted = self.plan.wanted
        if wanted is None:
            return nodes
        needed = {edge.node for edge in wanted}
        for node in reversed(nodes):
            if any(edge.node in needed for edge in node.next_functions if edge.node):
                needed.add(node)
        return [node for node in nodes if node in needed]

    async def run(self) -> Outcome:
        """Run every node; on any failure cancel the others and write nothing."""
        self._seed()
        running: dict[asyncio.Task[Any], Node] = {}
        token = _enabled.set(self.plan.create_graph)
        try:
            await self._work(running)
        finally:
            _enabled.reset(token)
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)
        self._deposits.sort(key=lambda item: item[:2])
        self.outcome.deposits += [(leaf, grad) for _, _, leaf, grad in self._deposits]
        if not self.plan.retain_graph:
            for node in self.nodes:
                node.release()
        return self.outcome

    def _seed(self) -> None:
        for position, (edge, gradient) in enumerate(self.plan.roots):
            if edge.node in self.waiting:
                arrival = Arrival((-1, position), edge.output_nr, gradient)
                self.inbox.setdefault(edge.node, []).append(arrival)
        self.ready.extend(node for node in self.nodes if not self.waiting[node])

    async def _work(self, running: dict[asyncio.Task[Any], Node]) -> None:
        steps = 0
        while self.ready or running:
            while self.ready:
                node = self.ready.popleft()
                steps += 1
                if steps % _BREATHE_EVERY == 0:
                    await asyncio.sleep(0)
                if _is_quick(node):
                    self._deliver(node, node.apply(*self._collect(node)))
                else:
                    running[asyncio.ensure_future(self._run_node(node))] = node
            if running:
                done, _ = await asyncio.wait(
                    running, return_when=asyncio.FIRST_COMPLETED
                )
                finished = sorted(
                    ((running.pop(task), task) for task in done),
                    key=lambda pair: -pair[0].sequence_nr,
                )
                for node, task in finished:
                    grads, error = task.result()
                    if error is not None:
                        raise error
                    self._deliver(node, grads)

    async def _run_node(self, node: Node) -> tuple[Any, BaseException | None]:
        """Run one node that waits, calls a model, or is the user's code."""
        try:
            if node.job is not None:
                await node.job
            grads = await self._hooked_inputs(node, self._collect(node))
            if node.trusted:
                result = node.apply(*grads)
            else:
                result = await call_user(node.apply, *grads, order=-node.sequence_nr)
            if inspect.isawaitable(result):
                result = await result
            return await self._hooked_outputs(node, result, grads), None
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again by `_work`
            return None, error

    def _collect(self, node: Node) -> list[Variable | None]:
        """Merge what arrived, one gradient per output; None where nothing did."""
        arrivals = self.inbox.pop(node, [])
        if isinstance(node, AccumulateGrad):
            return self._accumulate(node, arrivals)
        if len(arrivals) == 1 and getattr(node, "outputs", 1) == 1:
            merged: list[Variable | None] = [arrivals[0].gradient]
        else:
            merged = self._merge(node, arrivals)
        if self.plan.wanted and not node.hooks:
            self._capture(node, merged)
        return merged

    def _merge(self, node: Node, arrivals: list[Arrival]) -> list[Variable | None]:
        arrivals.sort(key=lambda arrival: arrival.order)
        by_output: list[list[Variable]] = [
            [] for _ in range(getattr(node, "outputs", 1))
        ]
        for arrival in arrivals:
            by_output[arrival.output_nr].append(arrival.gradient)
        return [
            merge(gradients) if gradients else Variable() for gradients in by_output
        ]

    def _accumulate(
        self, node: AccumulateGrad, arrivals: list[Arrival]
    ) -> list[Variable | None]:
        arrivals.sort(key=lambda arrival: arrival.order)
        edge = GradientEdge(node, 0)
        for arrival in arrivals:
            if self.plan.capture:
                if edge in (self.plan.wanted or ()):
                    self.outcome.captured.setdefault(edge, []).append(arrival.gradient)
            elif self.plan.wanted is None or edge in self.plan.wanted:
                self._deposits.append(
                    (node.sequence_nr, arrival.order, node.variable, arrival.gradient)
                )
        return []

    def _capture(self, node: Node, grads: Sequence[Variable | None]) -> None:
        for edge in self.plan.wanted or ():
            if edge.node is node and (gradient := grads[edge.output_nr]) is not None:
                self.outcome.captured.setdefault(edge, []).append(gradient)

    async def _hooked_inputs(
        self, node: Node, grads: list[Variable | None]
    ) -> list[Variable | None]:
        if isinstance(node, AccumulateGrad):
            return await self._hook_leaf(node)
        if node.hooks is None:
            return grads
        for nr, hooks in sorted(node.hooks.gradients.items()):
            for hook in list(hooks.values()):
                grads[nr] = _checked(await call_user(hook, grads[nr]), grads[nr])
        for hook in list(node.hooks.pre.values()):
            changed = await call_user(hook, tuple(grads))
            grads = grads if changed is None else list(changed)
        for nr, reference in node.hooks.retained.items():
            if (variable := reference()) is not None and grads[nr] is not None:
                if not self.plan.capture:
                    self.outcome.deposits.append((variable, grads[nr]))  # type: ignore[arg-type]
        self._capture(node, grads)
        return grads

    async def _hook_leaf(self, node: AccumulateGrad) -> list[Variable | None]:
        """Let hooks on a leaf see, and replace, each gradient that reached it."""
        hooks = list((node.variable._hooks or {}).values())
        for position, (nr, order, leaf, gradient) in enumerate(self._deposits):
            if leaf is node.variable:
                for hook in hooks:
                    gradient = _checked(await call_user(hook, gradient), gradient)  # noqa: PLW2901
                self._deposits[position] = (nr, order, leaf, gradient)
        return []

    async def _hooked_outputs(
        self, node: Node, result: Any, grads: list[Variable | None]
    ) -> Any:
        if node.hooks is None or not node.hooks.post:
            return result
        flat = tuple(_flatten(node, result))
        for hook in list(node.hooks.post.values()):
            changed = await call_user(hook, flat, tuple(grads))
            flat = flat if changed is None else tuple(changed)
        return _Flat(flat)

    def _deliver(self, node: Node, result: Any) -> None:
        edges = node.next_functions
        if not edges:
            return
        grads = result if isinstance(result, _Flat) else _flatten(node, result)
        for position, (edge, gradient) in enumerate(zip(edges, grads, strict=True)):
            following = edge.node
            if following is None or following not in self.waiting:
                continue
            if gradient is not None:
                arrival = Arrival(
                    (node.sequence_nr, position),
                    edge.output_nr,
                    _as_gradient(node, gradient),
                )
                self.inbox.setdefault(following, []).append(arrival)
            self.waiting[following] -= 1
            if not self.waiting[following]:
                self.ready.append(following)


class _Flat(tuple[Any, ...]):
    """Gradients already in the order of the edges."""

    __slots__ = ()


def _nodes(roots: list[tuple[GradientEdge, Variable]]) -> list[Node]:
    return [edge.node for edge, _ in roots if edge.node is not None]


def _is_quick(node: Node) -> bool:
    """Whether a node can run right here: ours, not async, not waiting, no hooks."""
    if not node.trusted or node.hooks is not None:
        return False
    if node.job is not None and (not node.job.done() or node.job.error()):
        return False
    if isinstance(node, AccumulateGrad):
        return not node.variable._hooks
    function = getattr(node, "function", None)
    return not inspect.iscoroutinefunction(getattr(function, "backward", None))


def _flatten(node: Node, result: Any) -> Sequence[Any]:
    flatten = getattr(node, "flatten", None)
    return result if flatten is None else flatten(result)  # type: ignore[no-any-return]


def _as_gradient(node: Node, gradient: Any) -> Variable:
    if isinstance(gradient, Variable):
        return gradient
    if isinstance(gradient, str):
        return Variable(gradient)
    raise InputTypeError(
        f"{node.name()} returned a gradient of type {type(gradient).__name__}; "
        "expected a Variable, a str, or None."
    )


def _checked(changed: Any, gradient: Variable | None) -> Variable | None:
    if changed is None or isinstance(changed, Variable):
        return gradient if changed is None else changed
    raise InputTypeError(
        f"a gradient hook returned {type(changed).__name__}; expected a Variable or None."
    )
