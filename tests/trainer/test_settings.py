"""Options of a Trainer."""

from __future__ import annotations

import pytest

from afnio.trainer import Trainer


def test_options_are_keywords():
    """A positional max_epochs is a TypeError (TR01)."""
    with pytest.raises(TypeError):
        Trainer(3)


@pytest.mark.parametrize(("given", "epochs"), [(None, 10), (0, 0), (3, 3)])
def test_epochs(given, epochs):
    """None means 10, and 0 means none (TR02)."""
    assert Trainer(max_epochs=given).max_epochs == epochs


@pytest.mark.parametrize(
    ("option", "error", "words"),
    [
        ({"max_epochs": -1}, ValueError, "max_epochs is -1"),
        ({"max_epochs": "3"}, TypeError, "max_epochs is str"),
        ({"max_steps": True}, TypeError, "max_steps is bool"),
        ({"max_cost": -0.5}, ValueError, "max_cost"),
        ({"max_time": "1h"}, TypeError, "max_time"),
        ({"accumulate_grad_batches": 0}, ValueError, ">= 1"),
        ({"max_retries": None}, TypeError, "max_retries"),
        ({"max_epoch": 3}, TypeError, "no option 'max_epoch'"),
    ],
)
def test_impossible_options_are_refused(option, error, words):
    """The message names the option."""
    with pytest.raises(error, match=words):
        Trainer(**option)
