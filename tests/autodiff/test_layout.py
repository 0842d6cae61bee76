"""Places of nodes: layers in order, nothing on top of anything else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from afnio.autodiff._layout import lay_out


@st.composite
def graphs(draw):
    """Draw a graph whose edges lead to higher numbers."""
    size = draw(st.integers(0, 12))
    pairs = [(a, b) for b in range(size) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    return size, edges


@given(graphs())
def test_every_edge_leads_to_a_later_layer(graph):
    """However the nodes hang together."""
    size, edges = graph
    layout = lay_out(size, edges)
    assert len(layout.places) == size
    for start, end in edges:
        assert layout.places[start][1] < layout.places[end][1] < layout.layers


@given(graphs())
def test_nodes_of_a_layer_keep_apart(graph):
    """They have room, and stay between zero and the breadth."""
    layout = lay_out(*graph)
    for i, (across, layer) in enumerate(layout.places):
        assert 0.49 < across < layout.breadth + 0.01
        for other, its_layer in layout.places[:i]:
            assert layer != its_layer or abs(across - other) > 0.999


@given(graphs())
def test_segments_connect_what_the_edges_connect(graph):
    """Following segments from a node reaches just the ends of its edges."""
    size, edges = graph
    layout = lay_out(size, edges)
    assert all(end[1] == start[1] + 1 for start, end, _ in layout.segments)
    ends = {end for _, end, ends in layout.segments if ends}
    assert ends == {layout.places[end] for _, end in edges}


def test_edges_to_one_node_share_their_way():
    """A leaf that a chain of 50 uses at every step needs one lane, not 50."""
    edges = [(i, i + 1) for i in range(50)] + [(i, 51) for i in range(50)]
    assert lay_out(52, edges).breadth < 4
