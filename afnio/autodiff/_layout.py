"""Where the nodes of a drawing stand: layers, few crossings, no overlaps.

Pure geometry, after K. Sugiyama, S. Tagawa, M. Toda, Methods for Visual Understanding
of Hierarchical System Structures, IEEE Trans. SMC 11(2), 1981. One difference: edges
that end at the same node share their way through the layers in between, so a leaf that
everything uses takes one lane and not hundreds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

_SWEEPS: Final = 8
"""How often the order in the layers is improved, down and up in turn."""

_LANE: Final = 0.3
"""Room that a passing edge takes in a layer; a node takes 1."""

Cell: TypeAlias = tuple[int, int]
"""A node and its layer, or a layer that edges to this node pass through."""

Point: TypeAlias = tuple[float, int]
"""Position across, and the layer."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands, in units of one node."""

    places: tuple[Point, ...]
    """One per node."""
    segments: tuple[tuple[Point, Point, bool], ...]
    """Parts of edges, each drawn once, and whether the edge ends with this part."""
    breadth: float
    """Size across; positions are between 0 and this."""
    layers: int


def lay_out(size: int, edges: Sequence[tuple[int, int]]) -> Layout:
    """Arrange the nodes ``0 … size - 1`` so that every edge leads to a later layer.

    Args:
        size: How many nodes.
        edges: From a node to one with a higher number; equal ones count once.
    """
    ranks = _ranks(size, edges)
    links = _links(ranks, edges)
    rows = _ordered(_rows(ranks, links), links)
    across = _positions(rows, links, ranks)
    breadth = max((across[cell] + 0.5 for row in rows for cell in row), default=0.0)

    def point(cell: Cell) -> Point:
        return across[cell], cell[1]

    return Layout(
        places=tuple(point((node, ranks[node])) for node in range(size)),
        segments=tuple((point(a), point(b), ranks[b[0]] == b[1]) for a, b in links),
        breadth=breadth,
        layers=len(rows),
    )


def _ranks(size: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Put every node one layer after the last of those that lead to it."""
    ranks = [0] * size
    for start, end in sorted(set(edges)):
        ranks[end] = max(ranks[end], ranks[start] + 1)
    return ranks


def _links(
    ranks: Sequence[int], edges: Sequence[tuple[int, int]]
) -> list[tuple[Cell, Cell]]:
    """Cut the edges into parts of one layer each; shared parts come once."""
    links: dict[tuple[Cell, Cell], None] = {}
    for start, end in sorted(set(edges)):
        cell: Cell = (start, ranks[start])
        for rank in range(ranks[start] + 1, ranks[end] + 1):
            links[cell, (end, rank)] = None
            cell = (end, rank)
    return list(links)


def _rows(ranks: Sequence[int], links: Sequence[tuple[Cell, Cell]]) -> list[list[Cell]]:
    cells = dict.fromkeys((node, rank) for node, rank in enumerate(ranks))
    cells.update(dict.fromkeys(end for _, end in links))
    rows: list[list[Cell]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for cell in cells:
        rows[cell[1]].append(cell)
    return rows


def _neighbours(
    links: Sequence[tuple[Cell, Cell]],
) -> dict[tuple[Cell, int], list[Cell]]:
    """Map a cell and -1 or 1 to what it is linked to in the layer before or after."""
    found: dict[tuple[Cell, int], list[Cell]] = defaultdict(list)
    for start, end in links:
        found[start, 1].append(end)
        found[end, -1].append(start)
    return found


def _ordered(
    rows: list[list[Cell]], links: Sequence[tuple[Cell, Cell]]
) -> list[list[Cell]]:
    """Sort each layer by where its neighbours stand, which removes most crossings."""
    near = _neighbours(links)
    index = {cell: float(i) for row in rows for i, cell in enumerate(row)}
    for sweep in range(_SWEEPS):
        step = -1 if sweep % 2 == 0 else 1
        for row in rows[::-step]:
            middle = {cell: _mean(near[cell, step], index, index[cell]) for cell in row}
            row.sort(key=middle.__getitem__)
            index.update((cell, float(i)) for i, cell in enumerate(row))
    return rows


def _positions(
    rows: list[list[Cell]], links: Sequence[tuple[Cell, Cell]], ranks: Sequence[int]
) -> dict[Cell, float]:
    """Move every cell towards its neighbours, as far as there is room."""
    near = _neighbours(links)
    across = {cell: float(i) for row in rows for i, cell in enumerate(row)}
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wish = [
                _mean([*near[cell, -1], *near[cell, 1]], across, across[cell])
                for cell in row
            ]
            sizes = [1.0 if ranks[node] == rank else _LANE for node, rank in row]
            across.update(zip(row, _apart(wish, sizes), strict=True))
    least = min(across.values(), default=0.0) - 0.5
    return {cell: position - least for cell, position in across.items()}


def _apart(wish: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Return positions near ``wish`` at which nothing overlaps.

    The mean of two arrangements without overlap, pushed right and pushed left, has none
    either.
    """
    right, left = list(wish), list(wish)
    for i in range(1, len(wish)):
        right[i] = max(wish[i], right[i - 1] + (sizes[i - 1] + sizes[i]) / 2)
    for i in reversed(range(len(wish) - 1)):
        left[i] = min(wish[i], left[i + 1] - (sizes[i + 1] + sizes[i]) / 2)
    return [(a + b) / 2 for a, b in zip(right, left, strict=True)]


def _mean(cells: Sequence[Cell], where: dict[Cell, float], default: float) -> float:
    return sum(where[cell] for cell in cells) / len(cells) if cells else default
