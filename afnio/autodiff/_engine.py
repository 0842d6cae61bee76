"""The backward pass: schedule ready nodes, deliver in order, commit at the end.

A node runs as soon as all its consumers have delivered; nodes that call a model run
concurrently. What arrives is ordered by the graph, never by which call came back first.
Nothing is written to any ``grad`` before everything has succeeded.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from afnio._data import copy_data
from afnio._dispatch import call_user
from afnio._text import shorten
from afnio._variable import Pending, Variable
from afnio.autodiff._hooks import run_leaf_hooks, run_output_hooks, run_post_hooks
from afnio.autodiff._merge import check_fit, merge
from afnio.autodiff._plan import Plan, Reach, add_context, freed
from afnio.autodiff._relay import connect
from afnio.autodiff.grad_mode import _enabled, enable_grad
from afnio.autodiff.graph import AccumulateGrad, GradientEdge, Node
from afnio.errors import InputTypeError, StateError

_BREATHE_EVERY: Final = 512
"""Nodes after which the pass lets other tasks of the loop run."""

Arrival: TypeAlias = tuple[int, int, int, Variable]
"""A gradient on its way: its sender's number, the position among the sender's edges,
which output it is about, and the gradient. The first two are its place in the graph."""


@dataclass(slots=True)
class Outcome:
    """What a pass wants written, in graph order."""

    keeps_graph: bool
    deposits: list[tuple[Variable, Variable]] = field(default_factory=list)
    captured: dict[GradientEdge, list[Variable]] = field(default_factory=dict)

    def commit(self) -> None:
        """Append every gradient; this cannot fail."""
        for variable, gradient in self.deposits:
            if variable._grad is None:
                variable._grad = []
            variable._grad.append(self._addressed(gradient, variable))

    def _addressed(self, gradient: Variable, target: Variable) -> Variable:
        """Return the gradient with its target's role, and no graph it must not have."""
        role = f"feedback to {target.role}"
        tracked = gradient.requires_grad
        if gradient.role == role and (self.keeps_graph or not tracked):
            return gradient
        node = gradient._grad_fn if self.keeps_graph else None
        value = gradient._value
        if isinstance(value, list):  # the feedback that a user gave, or another's grad
            value = copy_data(value)
        copy = Variable._make(value, role, node, gradient._output_nr)
        copy._evidence = gradient.evidence
        if self.keeps_graph and tracked and node is None:
            with enable_grad():  # the user's own feedback: a leaf of the new graph
                connect(copy, (gradient,))
        return copy


class Pass:
    """One backward pass over the part of the graph that is needed."""

    def __init__(self, plan: Plan) -> None:
        reach = Reach(plan)
        self.plan = plan
        self.waiting = reach.waiting
        self.runs = reach.runs
        self.inbox: dict[Node, list[Arrival]] = {}
        self.at_leaf: dict[Node, list[Arrival]] = {leaf: [] for leaf in reach.leaves}
        self.ready = deque(node for node, left in reach.waiting.items() if not left)
        self.left = len(reach.waiting)
        self.outcome = Outcome(keeps_graph=plan.create_graph)
        self._running: dict[asyncio.Task[Any], Node] = {}
        self._finished: list[asyncio.Task[Any]] = []
        self._news = asyncio.Event()

    async def run(self) -> Outcome:
        """Run every node; on any failure cancel the others and write nothing."""
        for position, (edge, gradient) in enumerate(self.plan.roots):
            if edge.node is not None:
                self._arrive(edge.node, (-1, position, edge.output_nr, gradient))
        token = _enabled.set(self.plan.create_graph)
        try:
            while self.ready or self._running:
                await self._start_ready()
                if self._running:
                    await self._take_finished()
            await self._reach_leaves()
        finally:
            _enabled.reset(token)
            for task in self._running:
                task.cancel()
            if self._running:
                await asyncio.wait(self._running)
        if self.left:
            raise StateError(
                f"the graph has a cycle: {self.left} nodes wait for each other."
            )
        if not self.plan.retain_graph:
            for node in self.runs:
                node._release()
        return self.outcome

    # -- nodes --------------------------------------------------------------------

    async def _start_ready(self) -> None:
        """Run what is quick right here; start a task for everything else."""
        steps = 0
        while self.ready:
            node = self.ready.popleft()
            self.left -= 1
            arrivals = self.inbox.pop(node, None)
            if arrivals is None:  # its consumers had nothing to say
                if node in self.runs:
                    self._deliver(node, (None,) * len(node.next_functions))
            elif _is_quick(node, arrivals):
                try:
                    grads = self._collect(node, arrivals)
                    if node in self.runs:
                        self._deliver(node, node._flatten(node.apply(*_filled(grads))))
                except Exception as error:
                    add_context(error, node)
                    raise
            else:
                task = asyncio.ensure_future(self._run_node(node, arrivals))
                task.add_done_callback(self._note)
                self._running[task] = node
            steps += 1
            if steps % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)

    def _note(self, task: asyncio.Task[Any]) -> None:
        self._finished.append(task)
        self._news.set()

    async def _take_finished(self) -> None:
        """Wait for news, and deliver it; what one node costs must not grow with all."""
        await self._news.wait()
        self._news.clear()
        done, self._finished = self._finished, []
        finished = sorted(
            ((self._running.pop(task), task) for task in done),
            key=lambda pair: -pair[0].sequence_nr,
        )
        for node, task in finished:
            grads, error = task.result()
            if error is not None:
                add_context(error, node)
                raise error
            if node in self.runs:
                self._deliver(node, grads)

    async def _run_node(
        self, node: Node, arrivals: list[Arrival]
    ) -> tuple[Any, BaseException | None]:
        """Run one node that waits, calls a model, has hooks, or is the user's code."""
        if node._freed and node in self.runs:  # by another backward, meanwhile
            return None, freed(node)
        try:
            for arrival in arrivals:
                await arrival[3]
            if node._job is not None:
                _check_roots(arrivals, await node._job)
            grads = await run_output_hooks(node, self._merge(node, arrivals))
            self._keep(node, grads)
            if node not in self.runs:
                return (), None
            filled = _filled(grads)
            if node._trusted:
                result = node.apply(*filled)
            else:
                result = await call_user(node.apply, *filled, order=-node.sequence_nr)
            if inspect.isawaitable(result):
                result = await result
            return await run_post_hooks(node, node._flatten(result), filled), None
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again by `_take_finished`
            if node._freed and isinstance(error, Exception):
                return None, freed(node).with_traceback(error.__traceback__)
            return None, error

    # -- gradients ----------------------------------------------------------------

    def _collect(self, node: Node, arrivals: list[Arrival]) -> list[Variable | None]:
        if len(arrivals) == 1 and node._outputs == 1:
            grads: list[Variable | None] = [arrivals[0][3]]
        else:
            grads = self._merge(node, arrivals)
        if self.plan.wanted:
            self._keep(node, grads)
        return grads

    def _merge(self, node: Node, arrivals: list[Arrival]) -> list[Variable | None]:
        """Merge what arrived, one gradient per output; None where nothing did."""
        arrivals.sort(key=_place)
        by_output: list[list[Variable]] = [[] for _ in range(node._outputs)]
        for _, _, output_nr, gradient in arrivals:
            by_output[output_nr].append(gradient)
        return [merge(gradients) if gradients else None for gradients in by_output]

    def _keep(self, node: Node, grads: list[Variable | None]) -> None:
        """Note what was asked for: by `grad`, or by ``retain_grad``."""
        if self.plan.capture:
            for edge in self.plan.wanted or ():
                if edge.node is node and (found := grads[edge.output_nr]) is not None:
                    self.outcome.captured[edge] = [found]
            return
        for output_nr, reference in node._hooks.retained.items() if node._hooks else ():
            variable, found = reference(), grads[output_nr]
            if variable is not None and variable._grad_fn is node and found is not None:
                self.outcome.deposits.append((variable, found))

    def _deliver(self, node: Node, grads: Any) -> None:
        number, waiting = node.sequence_nr, self.waiting
        for position, ((following, output_nr), gradient) in enumerate(
            zip(node.next_functions, grads, strict=True)
        ):
            if following is None:
                continue
            if gradient is not None:
                gradient = _as_gradient(node, gradient)  # noqa: PLW2901
                self._arrive(following, (number, position, output_nr, gradient))
            if following in waiting:
                waiting[following] -= 1
                if not waiting[following]:
                    self.ready.append(following)

    def _arrive(self, node: Node, arrival: Arrival) -> None:
        if node in self.waiting:
            box = self.inbox.get(node)
            if box is None:
                self.inbox[node] = [arrival]
            else:
                box.append(arrival)
        elif node in self.at_leaf:
            self.at_leaf[node].append(arrival)

    async def _reach_leaves(self) -> None:
        """Bring what reached each leaf into graph order, and show it to its hooks."""
        for leaf in sorted(self.at_leaf, key=lambda node: node.sequence_nr):
            assert isinstance(leaf, AccumulateGrad)
            if not (self.plan.capture or _still_leaf(leaf.variable)):
                continue
            for arrival in sorted(self.at_leaf[leaf], key=_place):
                gradient = arrival[3]
                if type(gradient._value) is Pending:
                    await gradient
                if leaf._hooks is not None or leaf.variable._hooks:
                    gradient = await run_leaf_hooks(leaf, gradient)
                if self.plan.capture:
                    edge = GradientEdge(leaf, 0)
                    self.outcome.captured.setdefault(edge, []).append(gradient)
                else:
                    self.outcome.deposits.append((leaf.variable, gradient))


def _still_leaf(variable: Variable) -> bool:
    """Whether feedback on a leaf is wanted; not if it was frozen since it was used."""
    if variable.requires_grad and variable._grad_fn is not None:
        raise StateError(
            f"a leaf (role {shorten(variable.role)!r}) became the result of an "
            "operation in place after it was used; write y = x + other instead of "
            "x += other."
        )
    return variable.requires_grad


def _check_roots(arrivals: list[Arrival], values: Any) -> None:
    """Raise unless the feedback that a backward began with fits a value now known."""
    for sender, _, output_nr, gradient in arrivals:
        if sender < 0:
            check_fit(gradient.data, values[output_nr])


def _place(arrival: Arrival) -> tuple[int, int]:
    return arrival[:2]


def _filled(grads: list[Variable | None]) -> list[Variable]:
    """Stand in an empty gradient for each output that got none."""
    return [Variable() if grad is None else grad for grad in grads]


def _is_quick(node: Node, arrivals: list[Arrival]) -> bool:
    """Whether a node can run right here: ours, still whole, not waiting, no hooks."""
    if not node._quick or node._hooks is not None or node._freed:
        return False
    if node._job is not None and (arrivals[0][0] < 0 or not node._job.succeeded()):
        return False  # a root's feedback is checked against the value first
    return not any(type(arrival[3]._value) is Pending for arrival in arrivals)


def _as_gradient(node: Node, gradient: Any) -> Variable:
    if isinstance(gradient, Variable):
        return gradient
    if isinstance(gradient, str):
        return Variable(gradient)
    raise InputTypeError(
        f"{type(node).__name__} returned a gradient of type {type(gradient).__name__}; "
        "expected a Variable, a str, or None."
    )
