"""What a backward was asked to do, and which part of the graph that takes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff.anomaly import is_anomaly_enabled
from afnio.autodiff.graph import AccumulateGrad, GradientEdge, Node
from afnio.errors import StateError

if TYPE_CHECKING:
    from afnio.autodiff._credit import Call


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


class Reach:
    """The part of the graph that a backward needs.

    Attributes:
        waiting: Nodes that take part, and how many gradients each waits for.
        runs: Those whose backward is called. One whose gradient is only asked for, and
            that nothing else needs, is not.
        leaves: Where gradients end.
    """

    def __init__(self, plan: Plan) -> None:
        self.leaves: dict[Node, None] = {}
        self.waiting: dict[Node, int] = {}
        self._explore(plan)
        self.runs: set[Node] = set(self.waiting)
        if plan.wanted is not None:
            self._restrict(plan.wanted)
        for node in self.runs:
            if node._freed:
                raise freed(node)

    def _explore(self, plan: Plan) -> None:
        waiting, leaves = self.waiting, self.leaves
        stack: list[Node] = []
        for root, _ in plan.roots:
            if isinstance(root.node, AccumulateGrad):
                leaves[root.node] = None
            elif root.node is not None and root.node not in waiting:
                waiting[root.node] = 0
                stack.append(root.node)
        while stack:
            for following, _ in stack.pop().next_functions:
                if following is None:
                    continue
                if following in waiting:
                    waiting[following] += 1
                elif type(following) is AccumulateGrad:
                    leaves[following] = None
                else:
                    waiting[following] = 1
                    stack.append(following)

    def _restrict(self, wanted: list[GradientEdge]) -> None:
        """Leave out what does not lie between the roots and what is wanted."""
        consumers: dict[Node, list[Node]] = defaultdict(list)
        for node in self.waiting:
            for following, _ in node.next_functions:
                if following is not None:
                    consumers[following].append(node)
        ends = {edge.node for edge in wanted if edge.node is not None}
        runs: set[Node] = set()
        stack = list(ends)
        while stack:
            for consumer in consumers.get(stack.pop(), ()):
                if consumer not in runs:
                    runs.add(consumer)
                    stack.append(consumer)
        self.runs = runs
        self.waiting = {
            node: sum(consumer in runs for consumer in consumers.get(node, ()))
            for node in self.waiting
            if node in runs or node in ends
        }
        self.leaves = {leaf: None for leaf in self.leaves if leaf in ends}


def freed(node: Node) -> StateError:
    """Return what to raise for a node that another backward has freed."""
    return StateError(
        f"backward through {type(node).__name__} a second time: its graph was "
        "freed by the first. Pass retain_graph=True to the first backward."
    )


def add_context(error: BaseException, node: Node) -> None:
    """Note on an error which node's backward it comes from.

    In anomaly mode the note also shows the forward call and what it sent to the model.
    """
    note = f"in the backward of {type(node).__name__}"
    site = getattr(node, "_site", "") or (
        node._job.site if node._job is not None else ""
    )
    if site:
        note += f", whose forward was called at {site}"
    error.add_note(note)
    if is_anomaly_enabled() and (call := getattr(node, "call", None)) is not None:
        error.add_note(f"which sent: {_sent(call)}")


def _sent(call: Call) -> str:
    samples = [sample for sample in call.samples if sample is not None]
    return (
        shorten([dict(turn) for turn in samples[0].messages], 400) if samples else "-"
    )
