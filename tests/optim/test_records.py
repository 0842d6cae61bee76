"""Records: enough to explain a decision to a person, and plain data for files."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from optim_helpers import Demos, param, saying
from rich.console import Console

from afnio import Variable
from afnio.optim import TGD, FewShot
from afnio.optim.gates import Improve, Race
from afnio.optim.records import Change, StepRecord, decision_table

CHANGE = Change(parameter=0, role="system prompt", before="old", after="Be brief.")
RECORD = StepRecord(
    step=3,
    optimizer="TGD",
    candidate=1,
    changes=(CHANGE,),
    accepted=True,
    reason="mean difference +0.500 above +0.000",
    decision=Improve().decide([0, 0, 1, 0], [1, 0, 1, 1]),
    parent_scores=(0, 0, 1, 0),
    candidate_scores=(1, 0, 1, 1),
)


def test_a_record_is_described_on_one_line():
    """Which, what became of it, scores, interval, samples, reason and change."""
    low, high = RECORD.decision.interval
    assert RECORD.describe() == (
        "step 3, TGD no. 1: kept; "
        f"0.250 -> 0.750, +0.500 [{low:+.3f}, {high:+.3f}], n=4; "
        "mean difference +0.500 above +0.000; system prompt: - old + Be brief."
    )
    assert repr(RECORD) == f"<StepRecord {RECORD.describe()}>"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"accepted": False}, "no. 1: not kept;"),
        ({"accepted": False, "reason": "part of candidate 3"}, "1: in candidate 3;"),
        ({"decision": None}, "kept; 0.750, n=4;"),
        ({"candidate_scores": ()}, "kept; mean difference"),
        ({"changes": (replace(CHANGE, after=None),)}, "prompt: no usable rewrite"),
        ({"changes": (replace(CHANGE, after=[["a", "b"]]),)}, "system prompt: 1 rows"),
        ({"decision": Race().decide([0] * 8, [1] * 8)}, "on the first 8, n=4"),
    ],
)
def test_what_is_missing_is_left_out(changes, expected):
    """Candidates without scores, decision or text are described too."""
    assert expected in replace(RECORD, **changes).describe()


def test_hostile_texts_stay_on_one_line():
    """Line breaks, escapes and direction marks of a model do not reach a terminal."""
    text = "a\nb\x1b[31m\u202e\0[bold]" + "x" * 100_000
    record = replace(RECORD, reason=text, changes=(replace(CHANGE, after=text),))
    described = record.describe()
    assert described.isprintable()
    assert len(described) < 1_000
    shown = io.StringIO()
    Console(file=shown, width=200).print(decision_table([record]))
    assert "[bold]" in shown.getvalue()
    assert "\x1b" not in shown.getvalue()


def test_the_table_has_one_row_for_every_decision():
    """With step, scores and reason in it."""
    shown = io.StringIO()
    other = replace(RECORD, step=4, accepted=False, reason="no gain")
    table = decision_table([RECORD, other], title="decisions [of] a run")
    Console(file=shown, width=200).print(table)
    assert table.row_count == 2
    text = " ".join(shown.getvalue().split())
    for wanted in ("decisions [of] a run", "0.250 -> 0.750", "no gain", "+ Be brief."):
        assert wanted in text


def test_records_of_real_steps_survive_json():
    """Of a rewrite and of a search, with and without scores."""
    demos, prompt = Demos(), param("old", "feedback")
    rows = [[f"q{n}", "a"] for n in range(4)]
    search = FewShot([demos], pool=rows, demos=1, candidates=4, rounds=1)

    def closure(block):
        return Variable([float(demos.data == [rows[0]]), 0.5])

    closure.blocks = 2
    search.step(closure)
    rewriting = TGD([prompt], saying("new"))
    rewriting.step()
    for record in (*search.history, *rewriting.history):
        plain = json.loads(json.dumps(record.to_dict()))
        assert StepRecord.from_dict(plain) == record
        assert record.describe()
