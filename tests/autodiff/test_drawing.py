"""Drawing graphs as text."""

from __future__ import annotations

import pytest

from afnio import Variable
from afnio.autodiff.drawing import draw


def test_tree():
    """Leaves show their role; a shared node is drawn once and referred to."""
    x = Variable("a", "greeting", requires_grad=True)
    y = x.upper()
    assert draw(y + y.lower()).splitlines() == [
        "AddBackward0",
        "|- UpperBackward0",
        "|  `- AccumulateGrad: greeting",
        "`- LowerBackward0",
        "   `- UpperBackward0 (see line 2)",
    ]


def test_long_graphs_are_cut():
    """No more lines than asked for, and it says so."""
    x = y = Variable("a", "x", requires_grad=True)
    for _ in range(50):
        y = y + x
    lines = draw(y, max_lines=10).splitlines()
    assert len(lines) == 11
    assert "not drawn" in lines[-1]


def test_untracked():
    """There is no graph behind a Variable that does not require grad."""
    with pytest.raises(RuntimeError):
        draw(Variable("a"))
