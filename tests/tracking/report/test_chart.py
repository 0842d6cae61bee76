"""Charts as geometry."""

import re

from hypothesis import given
from hypothesis import strategies as st

from afnio.tracking.report._chart import Axis, Mark, Series, Value, binned, chart

NUMBERS = st.floats(-1e6, 1e6)


def test_points_stand_where_they_belong():
    """High values are high up, and the axis is marked at round numbers."""
    values = [Value(0, 0.0), Value(10, 1.0)]
    found = chart("t", [Series("s", "val", values)], marks=[Mark(5, "accepted", "m")])
    assert [(dot.x, dot.y) for dot in found.series[0].dots] == [(0, 1000), (1000, 0)]
    assert found.series[0].line == "M0 1000L1000 0"
    assert [label for _, label in found.y_ticks] == [
        *("0.0", "0.2", "0.4", "0.6", "0.8", "1.0"),
    ]
    assert [mark.x for mark in found.marks] == [500]


def test_steps_hold_their_value():
    """A value that holds is drawn across and then up; so is its band."""
    values = [Value(0, 0.0, (0, 0)), Value(1, 1.0, (1, 1))]
    (drawn,) = chart("t", [Series("s", "val", values, "step")]).series
    assert drawn.line == "M0 1000H1000V0"
    assert drawn.band.startswith("M0 1000H1000V0L")


def test_nothing_to_draw():
    """A chart without values is none."""
    assert chart("t", [Series("s", "val", [])]) is None


def test_one_value_is_enough():
    """A single point gets an axis around it."""
    found = chart("t", [Series("s", "val", [Value(3, 0.5)])])
    assert found.series[0].line == ""
    assert len(found.y_ticks) > 1


def test_tables_are_cut_and_say_so():
    """The numbers of a long run are not all written down."""
    values = [Value(n, n) for n in range(300)]
    found = chart("t", [Series("s", "val", values)])
    assert (len(found.rows), found.left_out) == (200, 100)
    assert len(found.series[0].dots) == 240
    assert found.series[0].dots[-1].x == 1000


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_everything_is_inside(numbers):
    """No value leaves the plot, and no coordinate is anything but a number."""
    values = [Value(float(x), y, (y - 1, y + 1)) for x, y in enumerate(numbers)]
    found = chart("t", [Series("s", "val", values)])
    (drawn,) = found.series
    for dot in drawn.dots:
        assert 0 <= dot.x <= 1000
        assert all(-0.1 <= y <= 1000.1 for y in (dot.y, dot.low, dot.high))
    assert re.fullmatch(r"[MLHVZe\d .+-]*", drawn.line + drawn.band)


@given(st.lists(NUMBERS, min_size=1))
def test_ticks_are_few_and_in_order(numbers):
    """An axis has marks that can be read, whatever its range."""
    ticks = Axis.over(numbers).ticks()
    assert 2 <= len(ticks) <= 12
    assert [at for at, _ in ticks] == sorted(at for at, _ in ticks)


def test_noisy_values_are_averaged():
    """Bins of several values carry an interval, single ones none."""
    few = binned([(1.0, 0.5), (2.0, 0.7)])
    assert [value.interval for value in few] == [None, None]
    many = binned([(float(n), n % 2) for n in range(600)])
    assert len(many) <= 60
    assert many[0].y == 0.5
    low, high = many[0].interval
    assert low < 0.5 < high
