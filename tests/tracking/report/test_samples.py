"""What became of each sample."""

import pytest
from made_up import look, outcomes

from afnio.tracking.report._samples import samples_of
from afnio.tracking.report._summary import summary_of
from afnio.tracking.report._timeline import timeline


def found_in(*pairs, **start):
    """Return the samples of made-up events."""
    pairs = [("fit_start", start), *pairs]
    found = timeline([{"type": kind, **fields} for kind, fields in pairs])
    return samples_of(found, summary_of(found))


def test_first_and_last_look_are_compared():
    """Looks in between do not matter, and what changed stands first."""
    found = found_in(
        outcomes(0, 1, 0, 1, input="in", target="t"),
        outcomes(1, 1, 1, 1),
        outcomes(1, 0, 0, 1),
    )
    assert [row.kind for row in found.rows] == ["worse", "better", "wrong", "right"]
    assert {row.input for row in found.rows} == {"in"}
    assert found.counts == (
        ("worse", "got worse", 1),
        ("better", "got better", 1),
        ("wrong", "still wrong", 1),
        ("right", "still right", 1),
    )


def test_one_look_tells_right_and_wrong():
    """Without a second look nothing got better or worse."""
    found = found_in(outcomes(0, 1))
    assert not found.is_pair
    assert [word for _, word, _ in found.counts] == ["wrong", "right"]


def test_looks_at_other_samples_are_not_compared():
    """Two sets have no pairs."""
    found = found_in(outcomes(0, 0), outcomes(1, 1, name="other"))
    assert not found.is_pair


def test_validation_stands_in_for_a_test():
    """A run that never tested shows its validations."""
    stage = "validate"
    found = found_in(outcomes(0, stage=stage), outcomes(1, stage=stage))
    assert (found.stage, found.rows[0].kind) == ("validation", "better")


def test_scores_alone_are_shown_by_number():
    """Logs without texts still tell which samples changed."""
    found = found_in(look([0, 1, 1]), look([1, 1, 0], at=3))
    assert not found.has_texts
    assert [(row.number, row.kind) for row in found.rows] == [
        (3, "worse"),
        (1, "better"),
        (2, "right"),
    ]


def test_lower_may_be_better():
    """Then a score that fell got better."""
    found = found_in(look([0, 1]), look([1, 0], at=1), higher_is_better=False)
    assert {row.number: row.kind for row in found.rows} == {1: "worse", 2: "better"}


def test_equal_samples_are_told_apart():
    """Two samples with the same contents are two rows."""
    first, last = outcomes(0, 0), outcomes(1, 0)
    for _, event in (first, last):
        for sample in event["samples"]:
            sample["key"] = "same"
    assert sorted(row.kind for row in found_in(first, last).rows) == ["better", "wrong"]


@pytest.mark.parametrize("count", [0, 1000])
def test_few_or_many(count):
    """No samples is no part of the page; many are cut, and counted."""
    found = found_in(outcomes(*[1] * count))
    if not count:
        assert found is None
    else:
        assert (len(found.rows), found.total) == (400, 1000)
