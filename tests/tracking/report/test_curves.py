"""The curves of a run."""

import pytest
from made_up import decision, look, step, usage

from afnio.tracking.report._curves import (
    candidate_chart,
    cost_chart,
    mean_interval,
    other_charts,
    raw_chart,
    score_chart,
    validation_ends,
)
from afnio.tracking.report._summary import summary_of
from afnio.tracking.report._timeline import timeline


def read(*pairs):
    """Return a timeline and its summary."""
    found = timeline([{"type": kind, **fields} for kind, fields in pairs])
    return found, summary_of(found)


def rows(chart, name):
    """Return the table's rows of a series."""
    return [row[1:] for row in chart.rows if row[0] == name]


def test_validation_is_what_the_gate_compared():
    """The value before the first change, and after each that was kept."""
    chart = score_chart(
        *read(decision(1, accepted=False), step(1), decision(2), step(2), step(3))
    )
    found = rows(chart, "validation")
    assert [(x, y) for x, y, _ in found] == [
        ("0", "0.25"),
        ("2", "0.75"),
        ("3", "0.75"),
    ]
    assert all(interval for _, _, interval in found)
    assert chart.mark_style == ("rejected", "accepted")


def test_the_last_comparison_is_with_the_start():
    """Gates that stop early see all samples only there; its start is the curve's."""
    some = {"parent_scores": [0], "candidate_scores": [1]}
    last = decision(4, changes=[])
    found = [decision(1, **some), *(step(n) for n in range(1, 5)), last]
    shown = rows(score_chart(*read(*found)), "validation")
    assert [(x, y) for x, y, _ in shown] == [("0", "0.25"), ("4", "0.75")]


def test_epochs_fill_what_gates_have_not_seen():
    """Without a gate the curve is that of the epochs."""
    event = {"step": 1, "metrics": {"val_loss": 0.5}, "interval": [0.25, 0.75]}
    chart = score_chart(*read(step(1), ("epoch", event)))
    assert rows(chart, "validation") == [("1", "0.5", "0.25 to 0.75")]
    assert rows(chart, "training") == [("1", "0.5", "")]


def test_sums_are_kept_apart_from_means():
    """Steps that return a sum are drawn in a chart of their own."""
    kind, event = look([1, 0, 1, 1])
    event["metrics"] = {"test_loss": 3}
    found = read((kind, event), step(1, 4.0))
    assert rows(score_chart(*found), "training") == []
    assert rows(raw_chart(*found), "training") == [("1", "4", "")]
    assert raw_chart(*read(look([1, 0]), step(1))) is None


def test_cost_or_else_calls():
    """Free models are counted in calls; two steps are the least to draw."""
    steps = step(1), step(2)
    assert "dollars" in cost_chart(read(*steps, usage(1, 5, 0.5))[0]).title
    assert "calls" in cost_chart(read(*steps, usage(1, 5))[0]).title
    assert cost_chart(read(step(1), usage(1, 5))[0]) is None
    assert cost_chart(read(*steps)[0]) is None
    old = {"step": 1, "metrics": {"total_cost($)": 0.5}}
    assert "dollars" in cost_chart(read(*steps, ("epoch", old))[0]).title


def test_totals_never_fall():
    """A resumed run may tell a total before it has read what was spent earlier."""
    events = step(1), usage(1, 5), step(2), usage(2, 0), usage(2, 9)
    assert [y for _, y, _ in rows(cost_chart(read(*events)[0]), "calls")] == ["5", "9"]


def test_candidates_of_one_step_are_compared():
    """A search within one step has no curve over steps; its candidates are drawn."""
    many = [decision(1, accepted=n == 2, candidate=n) for n in range(4)]
    found = read(*many, step(1))
    assert score_chart(*found) is None
    chart = candidate_chart(found[0])
    assert [x for x, _, _ in rows(chart, "turned down")] == ["1", "2", "4"]
    assert [x for x, _, _ in rows(chart, "kept")] == ["3"]
    assert candidate_chart(read(decision(1), step(1), decision(2), step(2))[0]) is None


def test_candidates_that_failed_on_training_samples_stand_apart():
    """Their scores are of other samples than those of the rest."""
    reason = "training samples: mean difference -0.500 below +0.000"
    many = [decision(1, accepted=n == 2, candidate=n) for n in range(3)]
    checked = decision(1, accepted=False, candidate=3, reason=reason)
    chart = candidate_chart(read(*many, checked, step(1))[0])
    assert [x for x, _, _ in rows(chart, "turned down on training samples")] == ["4"]
    assert [x for x, _, _ in rows(chart, "turned down")] == ["1", "2"]


def test_scores_that_were_summed_are_drawn_as_means():
    """Steps that know the mean score of a sample are compared with the test by it."""
    events = [look([0, 1, 1, 1])]
    events[0][1]["metrics"]["test_loss"] = 3.0
    for number in (1, 2, 3):
        kind, fields = step(number, loss=4.0)
        events.append((kind, {**fields, "mean_score": 0.5}))
        metrics = {"val_loss": 2.0}
        epoch = {"step": number, "epoch": number, "metrics": metrics}
        events.append(("epoch", {**epoch, "mean_score": 0.25}))
    chart = score_chart(*read(*events))
    assert {y for _, y, _ in rows(chart, "training")} == {"0.5"}
    assert {y for _, y, _ in rows(chart, "validation")} == {"0.25"}


def test_other_metrics_have_charts_of_their_own():
    """Those of the large chart are not drawn twice."""
    metrics = [
        ("metric", {"name": name, "value": 1.0, "step": 1})
        for name in ("val_loss", "val_f1", "total_cost($)")
    ]
    charts = other_charts(*read(step(1), *metrics))
    assert [each.title for each in charts] == ["val_f1"]


def test_ends_of_validation():
    """The headline of a run without tests needs the first and the last."""
    assert validation_ends(*read(decision(1), step(1))) == (0.25, 0.75)
    assert validation_ends(*read(step(1))) is None


@pytest.mark.parametrize("scores", [(0, 1, 1, 0), (0.2, 0.4, 0.9)])
def test_intervals_hold_the_mean(scores):
    """Shares get Wilson's interval, other scores a normal one."""
    low, high = mean_interval(scores)
    assert low < sum(scores) / len(scores) < high


def test_one_score_has_no_interval():
    """A single score has no spread."""
    assert mean_interval((1.0,)) is None
