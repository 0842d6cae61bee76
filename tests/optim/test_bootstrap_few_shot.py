"""BootstrapFewShot, and rows that FewShot fetches itself."""

from __future__ import annotations

import pytest
from catalogue_helpers import Desk, resumed

from afnio.errors import InputTypeError, InputValueError
from afnio.optim import BootstrapFewShot, FewShot, SampleClosure
from afnio.optim.gates import Margin


def step(world, steps=1, kind=BootstrapFewShot, **options):
    """Return an optimizer after some steps."""
    opt = kind([world.demos], **{"demos": 1, "seed": 1, **options})
    closure = world.closure()
    for _ in range(steps):
        opt.step(closure)
    return opt


def test_rows_are_the_programs_own_right_answers():
    """What it got wrong teaches nothing, whatever was expected."""
    world = Desk("alpha beta")
    opt = step(world, batch_size=12)
    rows = opt.state[world.demos]["pool"]
    assert {row[1] for row in rows} == {"alpha", "beta"}
    assert len(rows) == 6
    labelled = step(Desk("alpha beta"), kind=FewShot, batch_size=12)
    [state] = labelled.state.values()
    assert len(state["pool"]) == 12


def test_training_samples_are_run_a_batch_at_a_time():
    """All of them are seen once before any is seen again."""
    world = Desk("alpha beta gamma delta")
    opt = step(world, 3, batch_size=4, gate=Margin(0.5))
    assert len(opt.state[world.demos]["pool"]) == 12


def test_a_pool_needs_no_training_samples():
    """Nothing is run for it."""
    world = Desk("Answer.")
    ran = []
    closure = world.closure()
    closure.train = ran.append
    FewShot([world.demos], pool=[["1 needs beta", "beta"]], demos=1).step(closure)
    assert ran == []
    assert world.demos.data == [["1 needs beta", "beta"]]


def test_candidates_and_gate_decide():
    """One set, without search; none that is not better."""
    world = Desk("alpha beta")
    opt = step(world, candidates=1, batch_size=12)
    assert len(opt.history) == 1
    assert opt.rounds == 1
    strict = step(Desk("alpha beta"), gate=Margin(1.0), batch_size=12)
    assert not any(record.accepted for record in strict.history)
    assert strict.history[0].changes[0].successes == 6


def test_a_right_demonstration_stays():
    """It helps on samples of its rule."""

    class Half(Desk):
        """Knows gamma on training questions only, so that rows of it help."""

        @staticmethod
        def _forward(messages, **args):
            question = messages[-1]["content"]
            number, *_, rule = question.split()
            if int(number) >= 12 and rule == "gamma":
                return rule
            return Desk._forward(messages)

    world = Half("alpha beta")
    step(world, 2, batch_size=12, candidates=12)
    assert [row[1] for row in world.demos.data] == ["gamma"]


def test_a_resumed_run_has_the_same_history():
    """What is left of the epoch is in the state."""
    world = Desk("alpha beta")

    def make():
        return BootstrapFewShot([world.demos], demos=1, batch_size=4, seed=3)

    whole, again = resumed(make, world.closure, [world.demos])
    assert whole == again
    assert whole


def test_options_are_checked():
    """By name."""
    demos = Desk().demos
    for name in ("demos", "candidates", "batch_size"):
        with pytest.raises(InputValueError, match=name):
            BootstrapFewShot([demos], **{name: 0})
    with pytest.raises(InputTypeError, match="has no fields"):
        BootstrapFewShot([Desk().prompt])
    closure = SampleClosure(lambda samples: 1.0, [1], parameters=[demos])
    closure.train_size = "many"
    with pytest.raises(InputTypeError, match="train_size"):
        BootstrapFewShot([demos]).step(closure)
