"""Successive halving: who is evaluated on what, and what the gate gets to see."""

from __future__ import annotations

import asyncio

import pytest
from optim_helpers import Demos

from afnio import Variable, eager
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.errors import InputValueError
from afnio.models.testing import ScriptedModel
from afnio.optim import FewShot
from afnio.optim.gates import Improve, Race

SIZE = 12


class Blocks:
    """A closure in blocks that scores rows by a table; it keeps a list of its calls."""

    def __init__(self, demos, score, blocks=5):
        self.demos, self.score, self.blocks = demos, score, blocks
        self.calls = []

    def __call__(self, block=0):
        name = self.demos.data[0][0] if self.demos.data else "start"
        self.calls.append((name, block))
        right = self.score(name, block)
        return Variable([1] * right + [0] * (SIZE - right))

    def blocks_of(self, name):
        return [block for other, block in self.calls if other == name]


def pool(count):
    """Return rows to draw from."""
    return [[f"q{n:02}", "a"] for n in range(count)]


def search(score, *, count=12, start=(), blocks=5, **options):
    """Run one step over ``count`` sets of one row; return demos, closure, optimizer."""
    demos = Demos(start)
    closure = Blocks(demos, score, blocks)
    options = {"demos": 1, "candidates": count, "rounds": 1, **options}
    opt = FewShot([demos], pool=pool(count), **options)
    opt.step(closure)
    return demos, closure, opt


def quality(name, block):
    """Return a score that grows with the number in the name; ``start`` scores 0."""
    return 0 if name == "start" else int(name[1:])


def test_twelve_candidates_on_five_blocks_cost_what_the_documentation_says():
    """12, 5 and 2 candidates on the first blocks, the winner alone on the rest."""
    demos, closure, opt = search(quality)
    tried = [call for call in closure.calls if call[0] != "start"]
    assert len(tried) * SIZE == 252
    assert closure.blocks_of("start") == [0, 1, 2, 3, 4]
    per_block = [sum(block == b for _, block in tried) for b in range(5)]
    assert per_block == [12, 5, 2, 1, 1]
    assert demos.data == [["q11", "a"]]
    [winner] = [record for record in opt.history if record.accepted]
    assert winner.decision.n == len(winner.candidate_scores) == 60
    assert winner.reason.startswith("best of 12; mean difference +0.917")


@pytest.mark.parametrize(
    ("keep", "counts"),
    [(1.0, [12] * 5), (0.5, [12, 6, 3, 2, 1]), (0.1, [12, 2, 1, 1, 1])],
)
def test_keep_is_the_share_that_goes_on(keep, counts):
    """Rounded up; 1 evaluates all of them on everything."""
    demos, closure, _ = search(quality, keep=keep)
    tried = [block for name, block in closure.calls if name != "start"]
    assert [tried.count(block) for block in range(5)] == counts
    assert demos.data == [["q11", "a"]]


def test_only_scores_on_the_same_samples_are_compared():
    """A set that is lucky on the first block falls behind on the second."""

    def score(name, block):
        return {"q00": (12, 0), "q01": (8, 9), "q02": (7, 1), "q03": (0, 12)}.get(
            name, (0, 0)
        )[min(block, 1)]

    demos, closure, opt = search(score, count=4, keep=0.75)
    assert demos.data == [["q01", "a"]]
    assert closure.blocks_of("q03") == [0]
    dropped = [record for record in opt.history if record.decision is None]
    assert [len(record.candidate_scores) for record in dropped].count(12) == 1
    [worst] = [record for record in dropped if record.changes[0].after[0][0] == "q03"]
    assert worst.reason == "place 4 of 4 on 12 samples, mean 0.000; the best 3 went on"
    assert worst.parent_scores == ()


def test_a_race_sees_the_incumbent_only_where_it_needs_to():
    """One block, the last, on which nobody was chosen, settles a clear case."""
    demos, closure, opt = search(quality, gate=Race())
    assert closure.blocks_of("start") == [4]
    [winner] = [record for record in opt.history if record.accepted]
    assert demos.data == [["q11", "a"]]
    assert winner.parent_scores == (0,) * 12
    assert winner.candidate_scores == (1,) * 11 + (0,)
    assert winner.decision.n == 8


def test_a_race_goes_on_until_it_is_sure():
    """A small gain needs all blocks, and is then decided by the mean."""

    def score(name, block):
        return 5 if name == "start" else 5 + (name == "q11" and block == 0)

    demos, closure, opt = search(score, gate=Race())
    assert closure.blocks_of("start") == [4, 3, 2, 1, 0]
    [winner] = [record for record in opt.history if record.decision]
    assert winner.accepted
    assert winner.decision.n == 60
    assert demos.data == [["q11", "a"]]


def test_the_gate_may_refuse_the_best_candidate():
    """Then nothing changes, and the present rows' result is returned."""
    demos, closure, opt = search(
        lambda name, block: 12 if name == "mine" else 3, start=[["mine", "row"]]
    )
    assert demos.data == [["mine", "row"]]
    assert not any(record.accepted for record in opt.history)
    [judged] = [record for record in opt.history if record.decision]
    assert "below" in judged.reason
    assert closure.blocks_of("mine") == [0, 1, 2, 3, 4]


def test_a_stage_runs_at_once():
    """The first reply comes when all candidates' calls of a block are waiting."""
    demos, waiting = Demos(), 0

    async def reply(messages, **args):
        nonlocal waiting
        waiting += 1
        while waiting < 12:
            await asyncio.sleep(0)
        return "yes"

    model = ScriptedModel(reply)

    def closure(block):
        text = Variable(f"{demos.data} on {block}")
        answer = ChatCompletion.apply(model, [{"role": "user", "content": [text]}])
        return ExactMatchEvaluator.apply(answer, Variable("yes"))

    closure.blocks = 3
    opt = FewShot([demos], pool=pool(12), demos=1, candidates=12, rounds=1, gate=Race())
    with eager(False):
        opt.step(closure)
    assert waiting == (12 + 5 + 2) + 3


class Rows(Blocks):
    """Notes the whole sets; one with ``q00`` in it is good."""

    def __call__(self, block):
        rows = tuple(row[0] for row in self.demos.data)
        self.calls.append((rows, block))
        right = self.score if "q00" in rows else 1
        return Variable([1] * right + [0] * (SIZE - right))


def test_later_rounds_start_from_the_leader_and_do_not_pay_for_it_twice():
    """The leader competes again with the scores it has."""
    demos = Demos()
    closure = Rows(demos, 6, 3)
    opt = FewShot(
        [demos], pool=pool(6), demos=3, candidates=4, rounds=3, seed=2, gate=Race()
    )
    opt.step(closure)
    assert ["q00", "a"] in demos.data
    assert len(opt.history) == 12
    assert len([record for record in opt.history if record.decision]) == 1
    assert len(set(closure.calls)) == len(closure.calls)
    tried = [{row[0] for row in record.changes[0].after} for record in opt.history]
    leaders = [rows for rows in tried[:4] if "q00" in rows]
    assert all(any(len(rows & old) >= 2 for old in leaders) for rows in tried[4:8])


def test_later_rounds_start_from_the_present_rows_if_these_are_better():
    """All neighbours differ from them by one row."""
    mine = [["q00", "a"], ["one", "a"], ["two", "a"]]
    known = {row[0] for row in mine}
    demos = Demos(mine)

    def closure(block):
        right = 4 * len(known & {row[0] for row in demos.data})
        return Variable([1] * right + [0] * (SIZE - right))

    closure.blocks = 3
    opt = FewShot([demos], pool=pool(9)[1:], demos=3, candidates=4, rounds=2)
    opt.step(closure)
    tried = [{row[0] for row in r.changes[0].after} for r in opt.history]
    assert [len(known & rows) for rows in tried[4:]] == [2] * 4


def test_blocks_with_other_sample_counts_are_refused():
    """Scores of different samples cannot be compared."""
    demos = Demos()

    class Uneven(Blocks):
        def __call__(self, block):
            return [1.0] * (2 if demos.data == [["q01", "a"]] else 3)

    opt = FewShot([demos], pool=pool(4), demos=1, candidates=4, rounds=1)
    with pytest.raises(InputValueError, match="same samples"):
        opt.step(Uneven(demos, None))
    assert demos.data == []
    assert opt.history == []


def test_without_blocks_every_candidate_is_put_to_the_gate():
    """As there is nothing to save."""
    _, _, opt = search(quality, blocks=1, count=4)
    assert all(record.decision is not None for record in opt.history)
    assert sum(record.accepted for record in opt.history) == 1


# -- from one step to the next --------------------------------------------------------


def two_steps(change=None, *, names=True, **options):
    """Return how many evaluations of the present rows the second step needs."""
    demos, other = Demos([["mine", "row"]]), Variable("text", "prompt")
    closure = Blocks(demos, lambda name, block: 12 if name == "mine" else 3, 3)
    if names:
        closure.parameters = [demos, other]
    opt = FewShot(
        [demos],
        pool=pool(20),
        demos=1,
        candidates=2,
        rounds=1,
        gate=Improve(),
        **options,
    )
    opt.step(closure)
    assert len(closure.blocks_of("mine")) == 3
    if change is not None:
        change(opt, demos, other)
    closure.calls.clear()
    assert len(opt.step(closure)) == 3
    return len(closure.blocks_of(demos.data[0][0]))


def test_the_incumbents_scores_are_kept_while_nothing_changes():
    """If the closure says what it depends on; without that, they are measured again."""
    assert two_steps() == 0
    assert two_steps(names=False) == 3


def test_a_closure_may_name_its_parameters_with_a_function():
    """Such as a module's ``parameters``."""
    demos = Demos([["mine", "row"]])
    closure = Blocks(demos, lambda name, block: 12 if name == "mine" else 3, 3)
    closure.parameters = lambda: iter([demos])
    opt = FewShot([demos], pool=pool(9), demos=1, candidates=2, rounds=1)
    opt.step(closure)
    opt.step(closure)
    assert len(closure.blocks_of("mine")) == 3


def test_a_closure_that_cannot_be_remembered_is_evaluated_anew():
    """One with slots, for example."""
    demos = Demos([["mine", "row"]])

    class Slotted:
        __slots__ = ("calls", "parameters")

        def __call__(self):
            self.calls += 1
            return float(demos.data == [["mine", "row"]])

    closure = Slotted()
    closure.calls, closure.parameters = 0, [demos]
    opt = FewShot([demos], pool=pool(9), demos=1, candidates=1, rounds=1)
    opt.step(closure)
    opt.step(closure)
    assert closure.calls == 4


def test_reuse_can_be_turned_off():
    """For programs whose answers vary."""
    assert two_steps(reuse=False) == 3


def test_scores_are_dropped_when_any_parameter_changes():
    """The optimizer's own, or another one that the closure names."""

    def own(opt, demos, other):
        demos.data = [["q00", "changed"]]

    def others(opt, demos, other):
        other.data = "another text"

    def same(opt, demos, other):
        other.data = "text"

    assert two_steps(own) == 3
    assert two_steps(others) == 3
    assert two_steps(same) == 0


def test_an_installed_winner_is_not_evaluated_again():
    """Its scores are those of the new incumbent."""
    demos = Demos()
    closure = Blocks(demos, quality)
    closure.parameters = [demos]
    opt = FewShot([demos], pool=pool(12), demos=1, candidates=12, rounds=1)
    opt.step(closure)
    assert demos.data == [["q11", "a"]]
    closure.calls.clear()
    opt.step(closure)
    assert closure.blocks_of("q11") == []
    assert demos.data == [["q11", "a"]]


def test_another_closure_is_evaluated_anew():
    """Its samples may be others."""
    demos = Demos([["mine", "row"]])
    opt = FewShot([demos], pool=pool(4), demos=1, candidates=2, rounds=1)
    for _ in range(2):
        closure = Blocks(demos, lambda name, block: 12 if name == "mine" else 3, 3)
        closure.parameters = [demos]
        opt.step(closure)
        assert closure.blocks_of("mine") == [0, 1, 2]


def test_a_resumed_step_decides_the_same():
    """Kept scores save calls; they do not change what is decided or recorded."""

    def run(reuse):
        demos = Demos()
        closure = Blocks(demos, quality)
        closure.parameters = [demos]
        opt = FewShot(
            [demos], pool=pool(12), demos=1, candidates=3, gate=Race(), reuse=reuse
        )
        for _ in range(3):
            opt.step(closure)
        return opt.state_dict(), len(closure.calls)

    (kept, few), (measured, many) = run(True), run(False)
    assert kept == measured
    assert few < many
