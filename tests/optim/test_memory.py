"""Memory: what earlier decisions add to a request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from afnio.errors import InputTypeError, InputValueError
from afnio.optim.gates import Improve
from afnio.optim.memory import Memory, NoMemory, RejectedEdits, ScoredHistory
from afnio.optim.proposers import Task
from afnio.optim.records import Change, StepRecord

TASK = Task(current="one")


def record(before, after, old, new, parameter=0):
    """Return the record of a candidate with these scores."""
    return StepRecord(
        step=1,
        optimizer="x",
        changes=(Change(parameter=parameter, role="p", before=before, after=after),),
        accepted=False,
        reason="",
        decision=Improve().decide(old, new),
        parent_scores=tuple(old),
        candidate_scores=tuple(new),
    )


HISTORY = [
    record("one", "two", [1, 1], [0, 1]),
    record("one", "three", [0, 0], [1, 1]),
    record("one", "four", [1, 1], [0, 0]),
    record("other", "text", [1], [0], parameter=1),
]


def test_no_memory_adds_nothing():
    """The task is the same."""
    assert NoMemory().recall(TASK, 0, HISTORY) is TASK
    assert isinstance(NoMemory(), Memory)


def test_rejected_edits_are_what_lost():
    """Of this parameter, the latest ones, with what was new and what it cost."""
    task = RejectedEdits().recall(TASK, 0, HISTORY)
    assert task.tried == (
        "- one\n+ two\n(mean score -0.500 on 2 examples)",
        "- one\n+ four\n(mean score -1.000 on 2 examples)",
    )
    assert RejectedEdits(1).recall(TASK, 0, HISTORY).tried == task.tried[1:]
    assert RejectedEdits(0).recall(TASK, 0, HISTORY).tried == ()
    assert len(RejectedEdits().recall(TASK, 1, HISTORY).tried) == 1
    undecided = [replace(HISTORY[0], decision=None)]
    assert RejectedEdits().recall(TASK, 0, undecided).tried == ()


def test_only_what_is_clearly_worse_is_refused_for_good():
    """A lost comparison may be chance; all comparisons of a text count together."""
    lost = record("one", "two", [1, 1, 1, 0], [0, 0, 0, 0])
    later = replace(record("one", "other", [0], [1]), step=4)
    assert RejectedEdits().recall(TASK, 0, [lost, later]).rejected == ()
    assert RejectedEdits().recall(TASK, 0, [lost, lost, later]).rejected == ("two",)
    won = record("one", "two", [0, 1], [1, 0])
    found = RejectedEdits().recall(TASK, 0, [lost, *[won] * 3, later])
    assert found.rejected == ()


def test_what_lost_is_not_tested_again_at_once():
    """For three steps; so a model that repeats itself has to think of something."""
    lost = record("one", "two", [1, 1], [0, 1])
    for step, refused in ((1, True), (3, True), (4, False)):
        later = replace(record("one", "other", [0], [1]), step=step)
        found = RejectedEdits().recall(TASK, 0, [lost, later])
        assert found.rejected == (("two",) if refused else ())


def test_scored_history_ends_with_the_best():
    """Texts and mean scores, ascending; ``top`` cuts the worst."""
    task = ScoredHistory().recall(TASK, 0, HISTORY)
    assert [text for text, _ in task.history] == ["four", "two", "one", "three"]
    assert task.history[-1] == ("three", ("mean score 1.000",))
    short = ScoredHistory(top=1).recall(TASK, 0, HISTORY)
    assert [text for text, _ in short.history] == ["three"]


def test_wrong_sizes_are_refused():
    """Each message names the option."""
    with pytest.raises(InputTypeError, match="size"):
        RejectedEdits("16")
    with pytest.raises(InputValueError, match="top"):
        ScoredHistory(top=0)
