"""Events in order, with what was done twice counted once."""

from made_up import decision, step, usage

from afnio.tracking.report._timeline import timeline


def read(*pairs):
    """Sort made-up events."""
    return timeline([{"type": kind, **fields} for kind, fields in pairs])


def steps(found):
    """Return the steps and their losses."""
    return [(at.step, at.event["metrics"]["train_loss"]) for at in found.steps]


def test_decisions_belong_to_the_step_that_follows():
    """An optimizer decides before the Trainer records the step."""
    found = read(step(1), decision(7), step(2))
    assert [at.step for at in found.decisions] == [2]


def test_a_resumed_fit_replaces_what_it_repeats():
    """What stood after the checkpoint was done again."""
    found = read(
        *(step(1, 0.1), decision(2), step(2, 0.2), decision(3), step(3, 0.3)),
        usage(3, 30),
        ("fit_start", {"step": 1, "resumed_from": "last.json"}),
        *(decision(2), step(2, 0.25), usage(2, 25)),
    )
    assert steps(found) == [(1, 0.1), (2, 0.25)]
    assert [at.step for at in found.decisions] == [2]
    assert [at.event["calls"] for at in found.usage] == [25]


def test_a_repeated_step_is_seen_without_being_told():
    """Logs of older versions do not say that a fit was resumed."""
    found = read(step(1, 0.1), step(2, 0.2), step(3, 0.3), step(2, 0.25), step(3, 0.35))
    assert steps(found) == [(1, 0.1), (2, 0.25), (3, 0.35)]


def test_a_second_fit_goes_on_counting():
    """Steps of two fits stand one after the other on the axis."""
    start = ("fit_start", {"step": 0})
    assert steps(read(start, step(1, 0.1), step(2, 0.2), start, step(1, 0.3))) == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.3),
    ]
    assert [at for at, _ in steps(read(step(1), step(2), step(1)))] == [1, 2, 3]


def test_logged_values_are_numbers_or_texts():
    """Series hold numbers; the last of other values is kept."""
    found = read(
        ("metric", {"name": "a", "value": 1, "step": 4}),
        ("metric", {"name": "a", "value": 2}),
        ("metric", {"name": "a", "value": "nan", "step": 5}),
    )
    assert found.metrics == {"a": [(4.0, 1.0), (1.0, 2.0)]}
    assert found.logged == {"a": "nan"}


def test_time_before_a_resumption_does_not_count():
    """A run that was stopped over night did not take all night."""
    times = (
        ("step", "2026-01-01T00:00:00Z"),
        ("step", "2026-01-01T00:00:10Z"),
        ("resumed", "2026-01-02T00:00:00Z"),
        ("step", "2026-01-02T00:00:05Z"),
        ("step", "yesterday"),
    )
    found = timeline([{"type": kind, "time": time} for kind, time in times])
    assert found.seconds == 15


def test_few_warnings_are_kept():
    """A page with a thousand warnings would say nothing."""
    assert len(read(*[("warning", {"message": "x"})] * 100).warnings) == 20


def test_the_last_decision_of_a_search_is_of_the_last_step():
    """It comes after that step, and changes nothing; others come before theirs."""
    kind, fields = decision(2)
    final = kind, {**fields, "changes": [], "candidate": 1}
    found = read(decision(1), step(1), final)
    assert [at.step for at in found.decisions] == [1, 1]
