"""Nodes, edges, and the order of the graph."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import GradientEdge, Node, Variable
from afnio.autodiff.graph import get_gradient_edge, topological
from afnio.errors import StateError


class Plain(Node):
    """A node that only stands in the graph."""

    def apply(self, *grad_outputs):
        return ()


@given(st.lists(st.lists(st.integers(0, 100), max_size=4), min_size=1, max_size=12))
def test_topological_order(shape):
    """Every node comes once, and after all nodes that consume its outputs."""
    nodes = []
    for sources in shape:
        edges = [GradientEdge(nodes[s % len(nodes)], 0) for s in sources if nodes]
        nodes.append(Plain((*edges, GradientEdge(None, 0))))
    order = topological(nodes)
    assert len(order) == len(set(order)) == len(nodes)
    for node in nodes:
        for following, _ in node.next_functions:
            if following is not None:
                assert order.index(node) < order.index(following)


def test_next_functions_can_be_set():
    """A graph may be rewired by hand."""
    a, b = Plain(), Plain()
    b.next_functions = (GradientEdge(a, 1),)
    assert topological([b]) == [b, a]
    assert str(b.next_functions[0]) == repr(b.next_functions[0])


def test_names():
    """Str and repr show name and place; ids are unique."""
    node = Plain()
    assert str(node) == f"<Plain object at {hex(id(node))}>"
    assert repr(node).startswith("<afnio.autodiff.graph.Plain object at 0x")
    assert node.name() == "Plain"
    assert node.node_id.startswith("Plain-")


def test_a_leaf_has_one_end_of_the_graph():
    """All uses of a leaf share a node, as long as any of them lives."""
    x = Variable("a", requires_grad=True)
    y, z = x + "b", x.upper()
    assert y.grad_fn.next_functions[0] == z.grad_fn.next_functions[0]
    end = weakref.ref(y.grad_fn.next_functions[0].node)
    assert end().variable is x
    del y, z
    gc.collect()
    assert end() is None


def test_get_gradient_edge():
    """The edge of an output names its node and number."""
    first, second = Variable("a b", requires_grad=True).split()
    assert get_gradient_edge(second) == (second.grad_fn, 1)
    assert get_gradient_edge(first).node is first.grad_fn
    with pytest.raises(RuntimeError):
        get_gradient_edge(Variable())


def test_nodes_stay_where_they_are():
    """A copy or a pickle of a node would be a graph that leads nowhere."""
    node = (Variable("a", "x", requires_grad=True) + "b").grad_fn
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(StateError, match="AddBackward0"):
            take(node)


def test_abstract():
    """A node must say what it does."""
    with pytest.raises(NotImplementedError):
        Node.apply(Plain())
