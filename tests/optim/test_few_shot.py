"""FewShot: where rows come from, which sets are tried, and what is installed."""

from __future__ import annotations

import json

import pytest
from optim_helpers import Demos, param, sample

from afnio import Variable
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.optim import FewShot
from afnio.optim.gates import Always, Improve, Margin

POOL = [[f"question {n}", f"answer {n}"] for n in range(8)]


def feed(demos, *records):
    """Append a gradient with this evidence."""
    gradient = Variable("", "feedback")
    gradient.evidence = records
    demos.append_grad(gradient)


def counting(demos, wanted, samples=8):
    """Return a closure whose score is the share of wanted questions shown."""
    evaluated = []

    def closure():
        shown = {row[0] for row in demos.data}
        evaluated.append([row[0] for row in demos.data])
        right = round(samples * len(shown & wanted) / len(wanted))
        return Variable([1] * right + [0] * (samples - right))

    closure.evaluated = evaluated
    return closure


def test_the_best_set_that_passes_the_gate_is_installed():
    """Demonstrations end with wanted questions, and the score is returned."""
    demos = Demos()
    closure = counting(demos, {"question 1", "question 2"})
    opt = FewShot([demos], pool=POOL, demos=2, candidates=8, rounds=3, seed=1)
    result = opt.step(closure)
    assert {row[0] for row in demos.data} == {"question 1", "question 2"}
    assert all(row in POOL for row in demos.data)
    assert result.data == [1] * 8
    [chosen] = [record for record in opt.history if record.accepted]
    assert chosen.changes[0].after == demos.data
    assert chosen.changes[0].before == []
    assert chosen.decision.difference == 1.0


def test_nothing_better_leaves_everything_as_it_was():
    """The gate refuses all, each with its record."""
    demos = Demos([["kept", "row"]])
    opt = FewShot([demos], pool=POOL, demos=2, candidates=4, rounds=1)
    result = opt.step(lambda: Variable([1, 0]))
    assert demos.data == [["kept", "row"]]
    assert result.data == [1, 0]
    assert len(opt.history) == 4
    assert not any(record.accepted for record in opt.history)


def test_the_gate_is_what_decides():
    """A margin refuses what improvement alone would take."""
    for gate, kept in ((Improve(), True), (Margin(0.6), False), (Always(), True)):
        demos = Demos()
        closure = counting(demos, {f"question {n}" for n in range(8)})
        FewShot([demos], pool=POOL, demos=4, gate=gate).step(closure)
        assert bool(demos.data) is kept


def test_rows_come_from_evidence_of_training():
    """A right answer is used as given, a failing sample's target stands in."""
    demos = Demos()
    feed(
        demos,
        sample(0, "one", output="right", target="Right", success=True),
        sample(1, "two", output="wrong", target="correct"),
        sample(2, "three", output="wrong", target=None),
    )
    opt = FewShot([demos], demos=2)
    opt.step(counting(demos, {"one", "two"}))
    assert sorted(demos.data) == [["one", "right"], ["two", "correct"]]
    assert opt.history[0].changes[0].successes == 1
    assert opt.history[0].changes[0].failures == 2


def test_without_labels_only_right_answers_become_rows():
    """For calls whose reply is not what the target is."""
    demos = Demos()
    feed(
        demos, sample(0, "one", output="ok", success=True), sample(1, "two", target="t")
    )
    opt = FewShot([demos], demos=1, labels=False)
    opt.step(lambda: 1.0)
    assert opt.state[demos]["pool"] == [["one", "ok"]]


def test_rows_are_collected_until_there_are_enough():
    """No evaluation before ``demos`` rows are known; newer answers replace older."""
    demos, calls = Demos(), []
    opt = FewShot([demos], demos=2)
    feed(demos, sample(0, "one", target="old"))
    assert opt.step(lambda: calls.append(1)) is None
    assert calls == []
    opt.clear_grad()
    feed(demos, sample(0, "one", target="new"))
    opt.step(lambda: calls.append(1))
    assert calls == []
    opt.clear_grad()
    feed(demos, sample(0, "two", target="t"))
    opt.step(counting(demos, {"one"}))
    assert opt.state[demos]["pool"] == [["one", "new"], ["two", "t"]]
    assert ["one", "new"] in demos.data


def test_samples_without_the_fields_give_no_rows():
    """A row needs a text for every field."""
    demos = Demos(fields=("message", "context"))
    feed(demos, sample(0, "one", target="t"))
    opt = FewShot([demos], demos=1)
    opt.step(lambda: 1.0)
    assert not opt.state_dict()["state"]


@pytest.mark.parametrize(
    ("options", "evaluations"),
    [
        ({"candidates": 3, "rounds": 1}, 4),
        ({"candidates": 5, "rounds": 1}, 6),
        ({"candidates": 3, "rounds": 2}, 7),
    ],
)
def test_candidates_and_rounds_set_how_much_is_tried(options, evaluations):
    """One evaluation of the present rows, and one per new candidate."""
    demos = Demos()
    closure = counting(demos, {"question 1"})
    FewShot([demos], pool=POOL, demos=3, **options).step(closure)
    assert len(closure.evaluated) == evaluations
    sets = [tuple(item) for item in closure.evaluated]
    assert len(set(sets)) == evaluations


def test_demos_sets_the_size_and_a_group_may_have_its_own():
    """``max_demos`` of a parameter caps it."""

    class Capped(Demos):
        __slots__ = ("max_demos",)

    one, two, three = Demos(), Demos(), Capped()
    three.max_demos = 1
    groups = [{"params": [one]}, {"params": [two, three], "demos": 2}]
    opt = FewShot(groups, pool=POOL, demos=3, gate=Always(), rounds=1)
    opt.step(lambda: 1.0)
    assert [len(item.data) for item in (one, two, three)] == [3, 2, 1]


def test_equal_sets_are_decided_for_the_newest():
    """The last of the best sets is kept, with and without blocks."""
    demos = Demos()
    opt = FewShot([demos], pool=POOL, demos=2, candidates=4, rounds=1, gate=Always())
    opt.step(lambda: 1.0)
    assert [record.accepted for record in opt.history] == [False, False, False, True]
    assert "candidate 3 gains more" in opt.history[0].reason


def test_it_asks_for_no_critiques():
    """A Trainer then spares them."""
    assert FewShot.credit_mode == "passthrough"


def test_the_seed_decides_what_is_tried():
    """Same seed, same sets; another seed, others."""

    def tried(seed):
        demos = Demos()
        closure = counting(demos, {"question 1"})
        FewShot([demos], pool=POOL, demos=3, seed=seed).step(closure)
        return closure.evaluated

    assert tried(0) == tried(0)
    assert tried(0) != tried(1)


def test_a_pool_smaller_than_the_set_is_used_whole():
    """With an explicit pool there is nothing to wait for."""
    demos = Demos()
    FewShot([demos], pool=POOL[:2], demos=4, gate=Always()).step(lambda: 1.0)
    assert sorted(demos.data) == POOL[:2]


def test_a_failing_evaluation_changes_nothing():
    """Rows, random generator, pool and history are as before the step."""
    demos, count = Demos(), 0
    feed(demos, *(sample(n, f"q{n}", target="t") for n in range(6)))

    def closure():
        nonlocal count
        count += 1
        if count == 3:
            raise ValueError("boom")
        return 1.0

    opt = FewShot([demos], demos=2)
    before = json.dumps(opt.state_dict())
    with pytest.raises(ValueError, match="boom"):
        opt.step(closure)
    assert demos.data == []
    assert json.dumps(opt.state_dict()) == before


def test_a_resumed_search_continues_exactly():
    """Pool, generator and history come back from JSON."""

    def prepared():
        demos = Demos()
        feed(demos, *(sample(n, f"q{n}", target="t") for n in range(8)))
        return demos, FewShot([demos], demos=2, candidates=3, seed=3, gate=Always())

    demos, opt = prepared()
    opt.step(lambda: 1.0)
    saved = json.loads(json.dumps(opt.state_dict()))
    other, resumed = prepared()
    resumed.load_state_dict(saved)
    other.data, other.grad = demos.data, None
    demos.grad = None
    for rows, kind in ((demos, opt), (other, resumed)):
        kind.step(counting(rows, {"q1", "q2"}))
    assert other.data == demos.data
    assert resumed.state_dict() == opt.state_dict()


def test_wrong_kinds_are_refused():
    """Parameters without fields, bad rows, impossible numbers, no closure."""
    with pytest.raises(InputTypeError, match="TGD"):
        FewShot([param("text")])
    with pytest.raises(InputTypeError, match=r"pool\[0\]"):
        FewShot([Demos()], pool=["ab"])
    with pytest.raises(InputValueError, match=r"pool\[0\] has 1"):
        FewShot([Demos()], pool=[["ab"]])
    with pytest.raises(InputValueError, match="demos"):
        FewShot([Demos()], demos=0)
    with pytest.raises(InputValueError, match="candidates"):
        FewShot([Demos()], candidates=0)
    with pytest.raises(InputValueError, match="rounds"):
        FewShot([Demos()], rounds=0)
    for keep in (0, 1.1):
        with pytest.raises(InputValueError, match="keep"):
            FewShot([Demos()], keep=keep)
    opt = FewShot([Demos()])
    assert opt.requires_closure
    with pytest.raises(StateError, match=r"step\(closure\)"):
        opt.step()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"demos": "3"}, "demos"),
        ({"candidates": "8"}, "candidates"),
        ({"rounds": 1.5}, "rounds"),
        ({"keep": "half"}, "keep"),
        ({"seed": None}, "seed"),
        ({"labels": "no"}, "labels"),
        ({"reuse": 1}, "reuse"),
        ({"gate": "race"}, "gate"),
        ({"pool": 3}, "pool"),
    ],
)
def test_options_of_the_wrong_kind_are_named(options, word):
    """At construction, and not by an error of Python's."""
    with pytest.raises(InputTypeError, match=word):
        FewShot([Demos()], **options)
