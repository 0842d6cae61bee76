"""A graph as SVG, and the page around it. Every text of the program is escaped."""

from __future__ import annotations

import html
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio._text import cut_middle, shorten
from afnio._variable import Pending, Variable
from afnio.autodiff._layout import Layout, Point, lay_out
from afnio.autodiff.graph import AccumulateGrad, Node, topological

_BOX: Final = (190, 44)
"""Width and height of a node, in pixels."""

_GAP_ACROSS: Final = (28, 14)
"""Pixels between neighbours, where layers go down, and where they go right."""

_GAP_ALONG: Final = (40, 60)
"""Pixels between layers, likewise."""

_MARGIN: Final = 16
_TEXT_LIMIT: Final = 2_000
"""Characters of one text that the details show; the middle of longer ones is cut."""
_ENTRIES: Final = 5
"""Pieces of feedback, or turns of a call, that the details show."""

_STYLE: Final = """\
.afnio-graph text{font:12px system-ui,sans-serif;fill:#1f2430}
.afnio-graph .role{font-size:11px;fill:#5b6472}
.afnio-graph rect{stroke:#8b93a1;fill:#f3f4f6}
.afnio-graph .leaf rect{stroke:#2f855a;fill:#e6f4ec}
.afnio-graph .model rect{stroke:#2b6cb0;fill:#e5f0fa}
.afnio-graph .evaluator rect{stroke:#b7791f;fill:#fdf3dc}
.afnio-graph path{stroke:#8b93a1;fill:none}
.afnio-graph marker path{fill:#8b93a1}"""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body{{font:14px/1.5 system-ui,sans-serif;margin:1.5rem;color:#1f2430;background:#fff}}
.picture{{overflow:auto;border:1px solid #d5d9e0}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;background:#f3f4f6;padding:.5rem}}
details{{margin:.4rem 0}}summary{{cursor:pointer}}:target{{outline:2px solid #2b6cb0}}
</style>
<h1>{title}</h1>
<p>Feedback flows along the arrows, from the result to the leaves (green). Blue asks a
model, yellow evaluates. {note}</p>
<div class="picture">{svg}</div>
<h2>Leaves and calls</h2>
{details}
</html>
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """The part of a graph that is drawn."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    total: int
    """How many nodes the graph has."""

    @property
    def note(self) -> str:
        """Says what was left out."""
        left = self.total - len(self.nodes)
        if not left:
            return f"All {self.total} nodes are drawn."
        return (
            f"{len(self.nodes)} of {self.total} nodes are drawn, those nearest to the "
            f"result; {left} are left out."
        )


def picture(root: Node, max_nodes: int) -> Picture:
    """Choose what to draw: all nodes, or those nearest to the root."""
    order = topological([root])
    near = _nearest(root, max_nodes)
    nodes = tuple(node for node in order if node in near)
    number = {node: i for i, node in enumerate(nodes)}
    edges = dict.fromkeys(
        (number[node], number[following])
        for node in nodes
        for following, _ in node.next_functions
        if following in number
    )
    return Picture(nodes, tuple(edges), len(order))


def _nearest(root: Node, limit: int) -> set[Node]:
    found = {root}
    queue = deque([root])
    while queue:
        for following, _ in queue.popleft().next_functions:
            if len(found) >= limit:
                return found
            if following is not None and following not in found:
                found.add(following)
                queue.append(following)
    return found


def svg(what: Picture, *, links: bool = False) -> str:
    """Return the drawing; with ``links``, nodes lead to their `details`."""
    layout = lay_out(len(what.nodes), what.edges)
    frame = _Frame(layout)
    width, height = frame.size
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="afnio-graph" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{_clean(what.note)}</title><style>{_STYLE}</style>"
        '<defs><marker id="afnio-arrow" viewBox="0 0 8 8" refX="8" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/>'
        "</marker></defs>"
    )
    lines = [frame.line(*segment) for segment in layout.segments]
    boxes = []
    for number, (node, place) in enumerate(zip(what.nodes, layout.places, strict=True)):
        box = _box(node, *frame.corner(place))
        has_more = links and any(_facts(node))
        boxes.append(f'<a href="#node-{number}">{box}</a>' if has_more else box)
    return "\n".join([head, *lines, *boxes, "</svg>"])


def page(what: Picture) -> str:
    """Return a page of its own with the drawing and its details."""
    title = f"Graph of {type(what.nodes[0]).__name__}"
    return _PAGE.format(
        title=_clean(title),
        note=_clean(what.note),
        svg=svg(what, links=True),
        details=details(what.nodes) or "<p>None.</p>",
    )


def details(nodes: Sequence[Node]) -> str:
    """Show what leaves hold and what model calls sent."""
    parts = []
    for number, node in enumerate(nodes):
        if facts := list(_facts(node)):
            rows = "".join(
                f"<p>{_clean(name)}</p><pre>{_clean(_cut(text))}</pre>"
                for name, text in facts
            )
            heading = _clean(": ".join(filter(None, (node.name(), _role(node)))))
            parts.append(
                f'<details id="node-{number}" open><summary>{heading}</summary>{rows}'
                "</details>"
            )
    return "\n".join(parts)


def _cut(text: str) -> str:
    return cut_middle(text, _TEXT_LIMIT)


class _Frame:
    """Turns positions into pixels; deep graphs grow downwards, wide ones rightwards."""

    def __init__(self, layout: Layout) -> None:
        self.down = layout.layers >= layout.breadth
        across = _BOX[0 if self.down else 1] + _GAP_ACROSS[not self.down]
        along = _BOX[1 if self.down else 0] + _GAP_ALONG[not self.down]
        self._unit = (across, along)
        breadth = round(layout.breadth * across)
        depth = layout.layers * along - _GAP_ALONG[not self.down]
        sides = (breadth, depth) if self.down else (depth, breadth)
        self.size = (sides[0] + 2 * _MARGIN, sides[1] + 2 * _MARGIN)

    def corner(self, place: Point) -> tuple[float, float]:
        """Return the upper left corner of the node at ``place``."""
        x, y = self._middle(place)
        return x - _BOX[0] / 2, y - _BOX[1] / 2

    def _middle(self, place: Point) -> tuple[float, float]:
        across = _MARGIN + place[0] * self._unit[0]
        thick = _BOX[1] if self.down else _BOX[0]
        along = _MARGIN + place[1] * self._unit[1] + thick / 2
        return (across, along) if self.down else (along, across)

    def line(self, start: Point, end: Point, ends: bool) -> str:
        """Draw a part of an edge, with an arrow head where the edge ends."""
        (x1, y1), (x2, y2) = self._middle(start), self._middle(end)
        half = (0, _BOX[1] / 2) if self.down else (_BOX[0] / 2, 0)
        x1, y1 = x1 + half[0], y1 + half[1]
        x2, y2 = x2 - half[0], y2 - half[1]
        bend = ((x1, (y1 + y2) / 2), (x2, (y1 + y2) / 2))
        if not self.down:
            bend = (((x1 + x2) / 2, y1), ((x1 + x2) / 2, y2))
        points = " ".join(f"{x:.0f} {y:.0f}" for x, y in (*bend, (x2, y2)))
        tail = "" if ends else f" L{x2 + 2 * half[0]:.0f} {y2 + 2 * half[1]:.0f}"
        arrow = ' marker-end="url(#afnio-arrow)"' if ends else ""
        return f'<path d="M{x1:.0f} {y1:.0f} C{points}{tail}"{arrow}/>'


def _box(node: Node, x: float, y: float) -> str:
    role = _role(node)
    texts = [(node.name().removesuffix("Backward0"), "")]
    texts += [(role, ' class="role"')] if role else []
    lines = "".join(
        f'<text{style} x="{x + 10:.0f}" y="{y + 18 + 16 * i:.0f}">'
        f"{_clean(shorten(text, 26))}</text>"
        for i, (text, style) in enumerate(texts)
    )
    hint = _clean(f"{node.name()} {role}".strip())
    return (
        f'<g class="{_kind(node)}"><title>{hint}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_BOX[0]}" height="{_BOX[1]}" rx="6"/>'
        f"{lines}</g>"
    )


def _kind(node: Node) -> str:
    if isinstance(node, AccumulateGrad):
        return "leaf"
    function = getattr(node, "_function", None)
    if function is not None and function._is_evaluator:
        return "evaluator"
    asks = function is not None and function._trusted and function._forward_is_async
    return "model" if asks else "operation"


def _role(node: Node) -> str:
    if isinstance(node, AccumulateGrad):
        return label_of(node.variable)
    if node._job is not None and not node._job.succeeded():
        return "(failed)" if node._job.done() else "(pending)"
    call = getattr(node, "call", None)
    return "" if call is None else str(call.role)


def label_of(variable: Variable) -> str:
    """Return what a leaf is called: its role, or a Parameter's name."""
    return str(getattr(variable, "label", variable.role) or "no role")


def _facts(node: Node) -> Iterator[tuple[str, str]]:
    """Yield what is known about a leaf, or about a model call that is not freed."""
    if isinstance(node, AccumulateGrad):
        yield "value", _value(node.variable)
        for gradient in (node.variable._grad or [])[:_ENTRIES]:
            yield "feedback", _value(gradient)
        return
    call = getattr(node, "call", None)
    if call is None:
        return
    samples = [item for item in call.samples if item is not None]
    if samples:
        sent = f"sent (sample 1 of {len(samples)})" if call.batched else "sent"
        for turn in samples[0].messages[:_ENTRIES]:
            yield f"{sent}: {turn['role']}", str(turn["content"])
        yield "reply", str(call.replies[samples[0].index])


def _value(variable: Variable) -> str:
    value: Any = variable._value
    if type(value) is Pending and not value.job.succeeded():
        return "(failed)" if value.job.done() else "(pending)"
    return str(variable.data)


def _clean(text: str) -> str:
    """Escape a text for HTML and XML; characters that XML forbids are replaced."""
    allowed = "".join(c if c >= " " or c in "\n\t" else "\ufffd" for c in text)
    plain = allowed.encode("utf-8", "replace").decode("utf-8")
    return html.escape(plain.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd"))
