"""Drawing a graph: as text for a terminal or a log, as SVG, or as a page of its own."""

from __future__ import annotations

from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff import _picture
from afnio.autodiff.graph import AccumulateGrad, Node, get_gradient_edge
from afnio.errors import InputValueError

MAX_NODES = 200
"""Nodes that a drawing shows unless told otherwise."""


def draw(variable: Variable, max_lines: int = 200) -> str:
    """Draw the graph behind ``variable`` as a tree, a node shared by several once.

    Args:
        variable: Where to start.
        max_lines: How many lines to draw; what is left out is said in the last.

    Raises:
        StateError: The Variable does not require grad.

    Examples:
        >>> x = Variable("a", "greeting", requires_grad=True)
        >>> print(draw((x + "!").upper()))
        UpperBackward0
        `- AddBackward0
           `- AccumulateGrad: greeting
    """
    lines: list[str] = []
    numbers: dict[Node, int] = {}
    stack = [(_root(variable), "", "")]
    while stack and len(lines) < max_lines:
        node, first, rest = stack.pop()
        if node in numbers:
            lines.append(f"{first}{_label(node)} (see line {numbers[node]})")
            continue
        lines.append(first + _label(node))
        children = [edge.node for edge in node.next_functions if edge.node is not None]
        if children:
            numbers[node] = len(lines)
        for position in reversed(range(len(children))):
            last = position == len(children) - 1
            branch = (
                (f"{rest}`- ", f"{rest}   ") if last else (f"{rest}|- ", f"{rest}|  ")
            )
            stack.append((children[position], *branch))
    if stack:
        lines.append(f"... and more: {len(stack)} branches are not drawn.")
    return "\n".join(lines)


def draw_svg(variable: Variable, max_nodes: int = MAX_NODES) -> str:
    """Draw the graph behind ``variable`` as an SVG image.

    In a notebook: ``IPython.display.SVG(draw_svg(loss))``.

    Args:
        variable: Where to start.
        max_nodes: How many nodes to draw, those nearest to ``variable``.

    Raises:
        StateError: The Variable does not require grad.
        InputValueError: ``max_nodes`` is less than 1.

    Examples:
        >>> x = Variable("a", "greeting", requires_grad=True)
        >>> draw_svg(x.upper()).count("<rect")
        2
    """
    return _picture.svg(_chosen(variable, max_nodes))


def draw_html(variable: Variable, max_nodes: int = MAX_NODES) -> str:
    """Draw the graph behind ``variable`` as a page that needs no other file.

    Below the drawing stand the values and the feedback of the leaves and, until a
    backward has freed them, what the model calls sent and got. The page holds no
    script, and text of the program is escaped, so it may come from anywhere.

    Args:
        variable: Where to start.
        max_nodes: How many nodes to draw, those nearest to ``variable``; the page says
            how many were left out.

    Raises:
        StateError: The Variable does not require grad.
        InputValueError: ``max_nodes`` is less than 1.

    Examples:
        >>> x = Variable("<b>", "greeting", requires_grad=True)
        >>> "&lt;b&gt;" in draw_html(x.upper())
        True
    """
    return _picture.page(_chosen(variable, max_nodes))


def _chosen(variable: Variable, max_nodes: int) -> _picture.Picture:
    if not isinstance(max_nodes, int) or max_nodes < 1:
        raise InputValueError(
            f"max_nodes is {shorten(repr(max_nodes))}; expected an int from 1 on."
        )
    return _picture.picture(_root(variable), max_nodes)


def _root(variable: Variable) -> Node:
    root = get_gradient_edge(variable).node
    assert root is not None
    return root


def _label(node: Node) -> str:
    name = type(node).__name__
    if isinstance(node, AccumulateGrad):
        return f"{name}: {shorten(_picture.label_of(node.variable), 40)}"
    return name
