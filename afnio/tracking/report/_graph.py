"""The program's graph: as an event of a run, and from there as shapes on a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from afnio._text import shorten
from afnio.autodiff import _picture
from afnio.autodiff._layout import lay_out
from afnio.autodiff.graph import get_gradient_edge
from afnio.tracking.report._values import count, items, mappings, text

if TYPE_CHECKING:
    from afnio._variable import Variable

MAX_NODES: Final = 60
_KINDS: Final = ("leaf", "model", "evaluator", "operation")
_LETTERS: Final = 24
"""Characters that fit into a box."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node as drawn; x and y are its upper left corner."""

    x: float
    y: float
    kind: str
    name: str
    role: str
    hint: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph as drawn, in pixels."""

    width: int
    height: int
    box: tuple[int, int]
    lines: tuple[str, ...]
    """Paths, as SVG elements made of numbers alone."""
    boxes: tuple[Box, ...]
    note: str
    links: tuple[str, ...]
    """Every edge in words."""


def graph_event(variable: Variable, max_nodes: int = MAX_NODES) -> dict[str, Any]:
    """Return the graph behind ``variable`` as JSON data, for an event of a run.

    Args:
        variable: Where to start, such as the explanation of a training step.
        max_nodes: How many nodes to keep, those nearest to ``variable``.

    Raises:
        StateError: The Variable does not require grad.

    Examples:
        >>> from afnio import Variable
        >>> x = Variable("a", "greeting", requires_grad=True)
        >>> graph_event(x.upper())["nodes"][0]["name"]
        'UpperBackward0'
    """
    root = get_gradient_edge(variable).node
    assert root is not None
    found = _picture.picture(root, max_nodes)
    nodes = [
        {
            "name": node.name(),
            "role": shorten(_picture._role(node), 200),
            "kind": _picture._kind(node),
        }
        for node in found.nodes
    ]
    edges = [list(edge) for edge in found.edges]
    return {"nodes": nodes, "edges": edges, "total": found.total}


def draw_event(event: Mapping[str, Any]) -> Graph | None:
    """Lay out what `graph_event` returned; None if there is nothing to draw."""
    nodes = mappings(event.get("nodes"))[: 4 * MAX_NODES]
    if not nodes:
        return None
    edges = [edge for edge in map(_edge, items(event.get("edges"))) if edge is not None]
    edges = [(a, b) for a, b in edges if 0 <= a < b < len(nodes)]
    layout = lay_out(len(nodes), edges)
    frame = _picture._Frame(layout)
    boxes = tuple(
        _box(node, *frame.corner(place))
        for node, place in zip(nodes, layout.places, strict=True)
    )
    total = max(len(nodes), count(event.get("total")))
    return Graph(
        width=frame.size[0],
        height=frame.size[1],
        box=_picture._BOX,
        lines=tuple(frame.line(*segment) for segment in layout.segments),
        boxes=boxes,
        note=_note(len(nodes), total),
        links=tuple(f"{boxes[a].hint} → {boxes[b].hint}" for a, b in edges),
    )


def _edge(value: Any) -> tuple[int, int] | None:
    ends = items(value)
    if len(ends) != 2 or not all(isinstance(end, int) for end in ends):  # noqa: PLR2004
        return None
    return ends[0], ends[1]


def _box(node: Mapping[str, Any], x: float, y: float) -> Box:
    name, role = text(node.get("name"), 200), text(node.get("role"), 200)
    kind = text(node.get("kind"), 20)
    short = name.removesuffix("Backward0")
    return Box(
        x=round(x),
        y=round(y),
        kind=kind if kind in _KINDS else "operation",
        name=shorten("Parameter" if kind == "leaf" else short, _LETTERS),
        role=shorten(role, _LETTERS),
        hint=f"{name} {role}".strip(),
    )


def _note(shown: int, total: int) -> str:
    if shown == total:
        return f"All {total} nodes of the first training step."
    return (
        f"{shown} of {total} nodes of the first training step, those nearest to the "
        "result."
    )
