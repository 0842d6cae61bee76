"""The program's graph, from a Variable to shapes."""

import json

from afnio import Variable
from afnio.tracking.report import graph_event
from afnio.tracking.report._graph import draw_event


def test_a_graph_becomes_an_event_and_shapes():
    """Nodes keep their names, and edges lead from the result to the leaves."""
    x = Variable("a", "greeting", requires_grad=True)
    event = json.loads(json.dumps(graph_event((x + "!").upper())))
    assert [node["name"] for node in event["nodes"]] == [
        "UpperBackward0",
        "AddBackward0",
        "AccumulateGrad",
    ]
    graph = draw_event(event)
    assert graph.links == (
        "UpperBackward0 → AddBackward0",
        "AddBackward0 → AccumulateGrad greeting",
    )
    assert [box.kind for box in graph.boxes] == ["operation", "operation", "leaf"]
    assert "All 3 nodes" in graph.note


def test_large_graphs_are_cut_and_say_so():
    """Only the nodes nearest to the result are kept."""
    x = Variable("a", "greeting", requires_grad=True)
    y = x
    for _ in range(20):
        y = y + "!"
    event = graph_event(y, max_nodes=5)
    assert (len(event["nodes"]), event["total"]) == (5, 21)
    assert "5 of 21 nodes" in draw_event(event).note


def test_nothing_to_draw():
    """Runs without a graph have no drawing."""
    assert draw_event({}) is None
    assert draw_event({"nodes": "x"}) is None


def test_edges_that_lead_nowhere_are_left_out():
    """Numbers that name no node, or go back, draw nothing."""
    nodes = [{"name": "A"}, {"name": "B"}]
    edges = [[0, 1], [1, 0], [0, 9], [-1, 0], ["a", "b"], [0], None]
    assert len(draw_event({"nodes": nodes, "edges": edges}).links) == 1


def test_a_total_that_is_no_number_is_left_out():
    """A report does not fail on events that others wrote."""
    for total in ({"x": 1}, [1], "many", 1e400, None):
        graph = draw_event({"nodes": [{"kind": "leaf"}], "total": total})
        assert graph.note.startswith("All 1 nodes")
