"""Drawing a graph as text, for a terminal or a log."""

from __future__ import annotations

from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff.graph import AccumulateGrad, Node, get_gradient_edge


def draw(variable: Variable, max_lines: int = 200) -> str:
    """Draw the graph behind ``variable`` as a tree, a node shared by several once.

    Args:
        variable: Where to start.
        max_lines: How many lines to draw; what is left out is said in the last.

    Raises:
        StateError: The Variable does not require grad.

    Example:
        >>> x = Variable("a", "greeting", requires_grad=True)
        >>> print(draw((x + "!").upper()))
        UpperBackward0
        `- AddBackward0
           `- AccumulateGrad: greeting
    """
    root = get_gradient_edge(variable).node
    assert root is not None
    lines: list[str] = []
    numbers: dict[Node, int] = {}
    stack = [(root, "", "")]
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


def _label(node: Node) -> str:
    name = type(node).__name__
    if isinstance(node, AccumulateGrad):
        return f"{name}: {shorten(node.variable.role or 'no role', 40)}"
    return name
