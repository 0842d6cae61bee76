"""What was changed and why."""

from made_up import decision, step

from afnio.tracking.report._changes import changes_in
from afnio.tracking.report._timeline import timeline


def read(*pairs):
    """Return the changes of made-up events."""
    return changes_in(timeline([{"type": kind, **fields} for kind, fields in pairs]))


def test_scores_are_of_the_samples_compared():
    """A race that ended early compared the first samples only."""
    gate = {"difference": 1.0, "interval": [0.5, 1.0], "n": 2, "wins": 2, "losses": 0}
    found = read(
        decision(
            1,
            decision=gate,
            parent_scores=[0, 0],
            candidate_scores=[1, 1, 0, 0],
        )
    )
    (kept,) = found.accepted
    assert (kept.before, kept.after, kept.samples) == (0, 1, 2)


def test_what_the_gate_did_not_see_has_a_score_of_its_own():
    """Candidates that fell behind are not compared with anything."""
    found = read(decision(1, accepted=False, decision=None, parent_scores=[]))
    (left,) = found.rejected
    assert (left.before, left.after, left.samples) == (None, 0.75, 4)


def test_evidence_comes_from_the_change_or_the_step():
    """Optimizers may note what they saw; else the step's samples are shown."""
    seen = {"input": "i", "output": "o", "score": 0, "success": False, "critique": "c"}
    event = "evidence", {"step": 1, "parameter": "prompt", "samples": [seen]}
    own = {**seen, "input": "own"}
    found = read(
        event,
        decision(1),
        step(1),
        decision(2, change={"evidence": [own]}),
        step(2),
    )
    inputs = [c.edits[0].evidence[0].input for c in found.accepted]
    assert inputs == ["i", "own"]


def test_many_are_cut_from_the_middle():
    """The first show where it began, the last what mattered in the end."""
    found = read(*[(d, f) for n in range(1, 101) for d, f in (decision(n), step(n))])
    steps = [each.step for each in found.accepted]
    assert steps == [*range(1, 11), *range(71, 101)]
    assert found.total_accepted == 100


def test_differences_have_a_place_on_the_line():
    """Zero is in the middle, and the widest interval reaches an end."""
    found = read(decision(1))
    assert [found.place(value) for value in (-0.9, 0, 0.45, 0.9, 5)] == [
        *(0, 50, 75, 100, 100),
    ]
