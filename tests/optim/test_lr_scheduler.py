"""Schedules: how the edit budget changes, and that the request says so."""

from __future__ import annotations

import json

import pytest
from optim_helpers import Rules, param

from afnio.autodiff.credit import credit_mode
from afnio.errors import InputTypeError, InputValueError
from afnio.models.testing import ScriptedModel
from afnio.optim import TGD, PatchTGD
from afnio.optim.lr_scheduler import (
    ConstantEdits,
    CosineEdits,
    EditScheduler,
    ReduceEditsOnPlateau,
    StepEdits,
)


def optimizer(*edit_lr):
    """Return an optimizer with one group for each number."""
    groups = [{"params": [param()], "edit_lr": number} for number in edit_lr]
    return PatchTGD(groups, ScriptedModel())


def course(scheduler, steps, metrics=None):
    """Return the budgets of the first group over some steps."""
    found = scheduler.get_last_lr()[:1]
    for number in range(steps):
        scheduler.step(*([metrics[number]] if metrics else []))
        found += scheduler.get_last_lr()[:1]
    return found


def test_constant_edits_change_nothing():
    """Every group keeps its own."""
    scheduler = ConstantEdits(optimizer(4, 2))
    assert course(scheduler, 3) == [4, 4, 4, 4]
    assert scheduler.get_last_lr() == [4, 2]


def test_cosine_edits_fall_to_the_minimum_and_stay_there():
    """``steps`` says when, ``minimum`` how far; a smaller group stays as it is."""
    assert course(CosineEdits(optimizer(8), steps=4, minimum=2), 6) == [
        8, 7, 5, 3, 2, 2, 2,
    ]  # fmt: skip
    scheduler = CosineEdits(optimizer(4, 1), steps=2, minimum=2)
    course(scheduler, 5)
    assert scheduler.get_last_lr() == [2, 1]


def test_step_edits_shrink_in_steps():
    """Never below one."""
    assert course(StepEdits(optimizer(4), step_size=2), 6) == [4, 4, 2, 2, 1, 1, 1]
    assert course(StepEdits(optimizer(4), step_size=1, gamma=0.75), 1) == [4, 3]


def test_a_plateau_lowers_the_budget():
    """After ``patience`` steps without improvement by ``threshold``."""
    metrics = [0.5, 0.6, 0.6, 0.6, 0.6, 0.6]
    scheduler = ReduceEditsOnPlateau(optimizer(4), patience=1)
    assert course(scheduler, 6, metrics) == [4, 4, 4, 4, 2, 2, 1]
    falling = ReduceEditsOnPlateau(optimizer(4), mode="min", patience=0)
    assert course(falling, 3, [3.0, 2.0, 2.5]) == [4, 4, 4, 2]
    small = ReduceEditsOnPlateau(optimizer(4), patience=0, threshold=0.5, minimum=3)
    assert course(small, 2, [0.5, 0.6]) == [4, 4, 3]
    factor = ReduceEditsOnPlateau(optimizer(4), patience=0, factor=0.75)
    assert course(factor, 2, [1.0, 1.0]) == [4, 4, 3]


def test_the_request_states_the_budget():
    """And edits beyond it are not applied."""
    world = Rules()
    opt = PatchTGD([world.prompt], world.optimizer, edit_lr=4, proposals=1)
    scheduler = StepEdits(opt, step_size=1, gamma=0.25)
    with credit_mode("passthrough"):
        opt.step(world.closure())
        scheduler.step()
        opt.step(world.closure())
    first, second = (r.messages[1]["content"] for r in world.optimizer.requests)
    assert "at most 4 edits" in first
    assert "at most one edit," in second


def test_state_survives_saving():
    """A restored scheduler goes on where the first one was."""
    metrics = [0.5, 0.5, 0.5, 0.5]
    one = ReduceEditsOnPlateau(optimizer(8), patience=0)
    course(one, 2, metrics)
    other = ReduceEditsOnPlateau(optimizer(8), patience=0)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert other.get_last_lr() == one.get_last_lr() == [4]
    assert course(other, 2, metrics) == course(one, 2, metrics)
    with pytest.raises(InputValueError, match="not the state of a StepEdits"):
        StepEdits(optimizer(8), 1).load_state_dict(one.state_dict())


def test_only_optimizers_that_edit_have_a_schedule():
    """The message says which do."""
    with pytest.raises(InputTypeError, match="PatchTGD"):
        ConstantEdits(TGD([param()], ScriptedModel()))
    with pytest.raises(InputTypeError, match="optimizer"):
        ConstantEdits([param()])


def test_wrong_options_are_refused():
    """Each message names the option."""
    opt = optimizer(4)
    with pytest.raises(InputTypeError, match="steps"):
        CosineEdits(opt, steps="4")
    with pytest.raises(InputValueError, match="step_size"):
        StepEdits(opt, step_size=0)
    with pytest.raises(InputValueError, match="mode"):
        ReduceEditsOnPlateau(opt, mode="maximum")
    with pytest.raises(InputTypeError, match="metric"):
        ReduceEditsOnPlateau(opt).step()


def test_a_schedule_of_ones_own_is_one_method():
    """The base class does the rest."""

    class Halve(EditScheduler):
        def edits(self, base, step):
            return base / 2**step

    assert course(Halve(optimizer(8)), 4) == [8, 4, 2, 1, 1]
