"""A plan as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from afnio._text import shorten

if TYPE_CHECKING:
    from afnio.models._plan import Plan, PlannedCalls, Range

_HEAD: Final = ("role", "model", "calls", "cached", "input tokens", "reply tokens", "$")
_TEXTS: Final = 2
"""Columns of text, at the left; the others hold numbers."""

_NOTE: Final = (
    "Likely figures; the most that the calls counted can be stands in brackets. "
    "Nothing was sent."
)
_ESTIMATE: Final = (
    "If an optimizer tries candidates, the number of calls is an estimate: plans of\n"
    "runs that were measured had 0.86 to 3 times the calls made. A budget caps the run."
)
_CENT: Final = 0.01


def table(plan: Plan) -> str:
    """Return one line per role and model, a sum, and what is not known."""
    rows = plan.rows
    if not rows:
        return "No model call would be made."
    cells = [_HEAD, *map(_cells, rows)]
    if len(rows) > 1:
        cells.append(_cells(plan.total))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += ["", _NOTE]
    if any(row.role == "optimizer" for row in rows):
        lines.append(_ESTIMATE)
    lines += [
        f"No price is known for {shorten(name)!r}: set one with "
        f"client.set_price({shorten(name)!r}, input=…, output=…)."
        for name in plan.unpriced
    ]
    return "\n".join(lines)


def _cells(row: PlannedCalls) -> tuple[str, ...]:
    return (
        shorten(row.role, 24),
        shorten(row.model, 40),
        f"{row.calls:,}",
        f"{row.cached_calls:,}",
        _tokens(row.input_tokens),
        _tokens(row.output_tokens),
        "unknown" if row.cost_usd is None else _cost(row.cost_usd),
    )


def _tokens(amount: Range) -> str:
    return f"{amount.likely:,.0f} [{amount.high:,.0f}]"


def _cost(amount: Range) -> str:
    return f"{_dollars(amount.likely)} [{_dollars(amount.high)}]"


def _dollars(amount: float) -> str:
    return f"{amount:.2f}" if amount >= _CENT or not amount else f"{amount:.2g}"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = (
        cell.ljust(width) if position < _TEXTS else cell.rjust(width)
        for position, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()
