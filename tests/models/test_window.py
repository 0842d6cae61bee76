"""The window of a minute behind the limits that users set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models import Limits
from afnio.models._window import Window


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=60),
    st.integers(1, 10),
    st.integers(50, 200),
)
def test_no_minute_exceeds_the_limits(calls, requests, tokens):
    """Whatever arrives when, every 60 seconds hold at most the limits."""
    limits = Limits(requests_per_minute=requests, tokens_per_minute=tokens)
    window, now, started = Window(), 0.0, []
    for gap, size in calls:
        now += gap
        while (delay := window.delay_s(now, size, limits)) > 0:
            now += delay
        window.add(now, size)
        started.append((now, size))
    for end, _ in started:
        inside = [size for at, size in started if end - 60.0 < at - 1e-6 and at <= end]
        assert len(inside) <= requests
        assert sum(inside) <= tokens


def test_oversized_call_starts_alone():
    """A call larger than the token limit waits for an empty window, then starts."""
    window, limits = Window(), Limits(tokens_per_minute=100)
    assert window.delay_s(0.0, 500, limits) == 0
    window.add(0.0, 10)
    assert window.delay_s(1.0, 500, limits) == pytest.approx(59.0)
