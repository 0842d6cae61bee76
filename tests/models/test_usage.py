"""Usage: the documented form, addition, and the meter."""

import threading
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from afnio.models import Usage
from afnio.models._usage import UsageMeter

counts = st.integers(min_value=1, max_value=10**9)


def test_empty_document_is_all_zeros():
    """A fresh usage has every documented field, at zero."""
    assert Usage().document() == {
        "completion_tokens": 0,
        "prompt_tokens": 0,
        "total_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "cost": {"amount": 0.0, "currency": "USD"},
    }


def test_none_fields_count_as_zero():
    """None counts, None details and unknown keys add nothing."""
    usage = Usage.from_document(
        {
            "prompt_tokens": None,
            "completion_tokens": None,
            "total_tokens": None,
            "prompt_tokens_details": None,
            "completion_tokens_details": {"reasoning_tokens": None},
            "surprise": 7,
        }
    )
    assert usage == Usage()


@given(counts, counts, counts, counts)
def test_document_round_trip(prompt, reply, cached, reasoning):
    """Writing the documented form and reading it back loses no token."""
    usage = Usage(
        input_tokens=prompt,
        output_tokens=reply,
        cached_tokens=cached,
        reasoning_tokens=reasoning,
    )
    assert Usage.from_document(usage.document()) == usage


@given(counts, counts)
def test_addition_adds_every_field(left, right):
    """The sum of two usages is the sum of each field."""
    one = Usage(input_tokens=left, output_tokens=right, cost_usd=Decimal(left))
    two = Usage(input_tokens=right, cached_tokens=left, cost_usd=Decimal(right))
    both = one + two
    assert both.input_tokens == left + right
    assert both.total_tokens == left + right + right
    assert both.cached_tokens == left
    assert both.cost_usd == left + right


def count(meter, usage, role="forward", model="m"):
    """Count one call that cost ``usage``."""
    meter.begin(role=role, model=model).end(usage)


def test_meter_splits_by_role_and_model():
    """Each role and model has its own numbers, cached and failed calls included."""
    meter = UsageMeter()
    count(meter, Usage(input_tokens=3), role="critic", model="b")
    count(meter, Usage(input_tokens=2), role="forward", model="a")
    meter.add_cached(role="forward", model="a")
    lost = meter.begin(role="forward", model="a")
    lost.failed()
    lost.end(None)
    meter.begin(role="forward", model="a").end(None)  # cancelled: neither nor

    split = meter.by_role()

    assert list(split) == ["critic", "forward"]
    assert split["critic"]["b"]["prompt_tokens"] == 3
    forward = split["forward"]["a"]
    counts = {k: forward[k] for k in ("calls", "cached_calls", "failed_calls")}
    assert counts == {"calls": 1, "cached_calls": 1, "failed_calls": 1}


def test_seconds_count_once_however_many_calls_are_in_flight():
    """Overlapping calls of a role share their seconds; a running call counts too."""
    now = [0.0]
    meter = UsageMeter(clock=lambda: now[0])

    def seconds():
        return meter.by_role()["forward"]["m"]["seconds"]

    def running():
        return meter.by_role()["forward"]["m"]["running_calls"]

    first = meter.begin(role="forward", model="m")
    now[0] = 2.0
    second = meter.begin(role="forward", model="m")
    now[0] = 3.0
    assert running() == 2
    first.end(Usage())
    assert (seconds(), running()) == (3.0, 1)
    now[0] = 5.0
    second.end(None)
    now[0] = 100.0
    assert (seconds(), running()) == (5.0, 0)


def test_clearing_forgets_what_is_in_flight():
    """Of a call that ends after the meter was cleared, only what it cost counts."""
    meter = UsageMeter(clock=lambda: 1.0)
    cancelled, paid = (meter.begin(role="forward", model="m") for _ in range(2))
    meter.clear()
    cancelled.end(None)
    assert meter.by_role() == {}
    paid.end(Usage(input_tokens=1))
    assert meter.by_role()["forward"]["m"]["running_calls"] == 0
    assert meter.total.input_tokens == 1


def test_estimates_are_flagged():
    """A sum with an estimate in it says so, and the meter counts estimated calls."""
    meter = UsageMeter()
    count(meter, Usage(input_tokens=1, estimated=True))
    count(meter, Usage(input_tokens=1))
    assert meter.total.estimated
    assert meter.by_role()["forward"]["m"]["estimated_calls"] == 1


def test_meter_counts_from_many_threads():
    """Concurrent additions are all counted."""
    meter = UsageMeter()

    def work() -> None:
        for _ in range(500):
            count(meter, Usage(input_tokens=1))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.total.input_tokens == 4000
    assert meter.by_role()["forward"]["m"]["calls"] == 4000
