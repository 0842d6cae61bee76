"""Tests of afnio.cognitive.modules._training."""

import inspect

import pytest

import afnio.cognitive as cog
from afnio.cognitive.modules._training import Trainable


@pytest.mark.parametrize("step", ["training_step", "validation_step", "test_step"])
def test_steps_must_be_overridden(step):
    """MO13: a step that is not defined names itself."""
    with pytest.raises(NotImplementedError, match=f"Module defines no {step}"):
        getattr(cog.Module(), step)(None, 0)


def test_optimizers():
    """MO13: optimizers() needs a Trainer to have stored some."""
    module = cog.Module()
    with pytest.raises(NotImplementedError, match="configure_optimizers"):
        module.configure_optimizers()
    with pytest.raises(AttributeError, match="configure_optimizers"):
        module.optimizers()
    module._optimizers = []
    assert module.optimizers() == []
    assert list(module.chats()) == []


def test_predict_step_calls_the_module():
    """By default, predicting is calling."""

    class Echo(cog.Module):
        def forward(self, batch):
            return ("called", batch)

    assert Echo().predict_step("batch", 0) == ("called", "batch")


def test_automatic_optimization_is_on():
    """A Trainer optimizes by itself unless told otherwise."""
    assert cog.Module().automatic_optimization is True


def test_hooks_do_nothing():
    """Every hook can be called with its arguments, and returns nothing."""
    hooks = [
        (name, fn) for name, fn in vars(Trainable).items() if name.startswith("on_")
    ]
    assert len(hooks) == 31
    for name, fn in hooks:
        count = len(inspect.signature(fn).parameters) - 1
        assert getattr(cog.Module(), name)(*[{}] * count) is None
