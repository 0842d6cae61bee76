"""Sample-weighted means, records and intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.trainer import Record
from afnio.trainer._metrics import Meter, interval_of


def test_means_are_weighted_by_samples():
    """Batches of 33, 33 and 2 count by their samples (TR11)."""
    meter = Meter()
    for samples, right in ((33, 25), (33, 25), (2, 2)):
        meter.add({"accuracy": right / samples}, samples)
    assert meter.means() == {"accuracy": pytest.approx(52 / 68)}
    assert meter.samples == 68


def test_lists_count_per_sample_and_text_is_left_out():
    """Per-sample metrics average over what is there."""
    meter = Meter()
    meter.add({"loss": [1, 0, None, 1], "note": "text", "none": None}, 4)
    meter.add({"loss": [0]}, 1)
    assert meter.means("val_") == {"val_loss": 0.5}


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(-1e6, 1e6)), min_size=1))
def test_a_meter_continues_exactly(batches):
    """Saving and loading between any two batches changes nothing."""
    whole, parts = Meter(), Meter()
    for samples, value in batches:
        whole.add({"m": value}, samples)
        parts.add({"m": value}, samples)
        state, parts = parts.state_dict(), Meter()
        parts.load_state_dict(state)
    assert parts.means() == whole.means()


def test_records_survive_a_round_trip():
    """What a checkpoint holds becomes the same record again."""
    record = Record(kind="test", metrics={"m": 1.0}, samples=3, interval=(0.1, 0.9))
    assert Record.from_dict(record.to_dict()) == record
    assert Record.from_json(record.to_json()) == record
    assert Record.from_dict(Record(kind="step").to_dict()) == Record(kind="step")


def test_intervals():
    """Wilson for right and wrong, normal for other scores, none for a single one."""
    low, high = interval_of([1.0] * 8 + [0.0] * 2)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    low, high = interval_of([0.25, 0.75] * 8)
    assert low < 0.5 < high
    assert interval_of([1.0]) is None
