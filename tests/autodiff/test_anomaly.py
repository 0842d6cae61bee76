"""Anomaly mode: a failing backward shows its forward call and what that sent."""

from __future__ import annotations

import pytest

from afnio import Variable
from afnio.autodiff import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from afnio.autodiff.function import Function
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.models import set_backward_model_client
from afnio.models.testing import ScriptedModel


class Breaks(Function):
    """Its backward raises."""

    @staticmethod
    def forward(ctx, x):
        return Variable(x.data, x.role)

    @staticmethod
    def backward(ctx, grad):
        raise KeyError("broken")


def call(prompt="Be kind.", **inputs):
    """Return the reply to a tracked system prompt and a question."""
    system = Variable(prompt, "system prompt", requires_grad=True)
    messages = [
        {"role": "system", "content": [system]},
        {"role": "user", "content": [Variable("Why {x}?", "question")]},
    ]
    return ChatCompletion.apply(ScriptedModel("Because."), messages, inputs=inputs)


def notes(variable, gradient="bad"):
    """Return the notes on the error of a backward whose critic is broken."""
    with (
        set_backward_model_client(ScriptedModel([KeyError("no critic")])),
        pytest.raises(KeyError) as caught,
    ):
        variable.backward(Variable(gradient))
    return caught.value.__notes__


def test_shows_the_line_and_the_prompt_it_sent():
    """The note has the forward's line, and the messages as they were sent."""
    with detect_anomaly():
        where, sent = notes(call(x="not"))[-2:]
    assert where.startswith("in the backward of ChatCompletionBackward0, whose forward")
    assert f"{__file__}:" in where
    assert sent.startswith("which sent: ")
    assert "Be kind." in sent
    assert "Why not?" in sent


def test_a_batch_shows_the_first_sample_that_was_sent():
    """Missing samples were not sent, so they are not shown."""
    with detect_anomaly():
        *_, sent = notes(call(x=[None, "now", "later"]))
    assert "Why now?" in sent
    assert "later" not in sent


def test_long_prompts_are_shortened():
    """A note stays readable whatever was sent."""
    with detect_anomaly():
        *_, sent = notes(call("x" * 100_000, x="not"))
    assert len(sent) < 500


def test_without_it_prompts_stay_out_of_errors():
    """Outside anomaly mode no text of the program is in the notes."""
    assert not any("Be kind." in note for note in notes(call(x="not")))


def test_operations_that_send_nothing():
    """There is a line, and no prompt."""
    with detect_anomaly(), pytest.raises(KeyError) as caught:
        Breaks.apply(Variable("a", requires_grad=True)).backward(Variable("g"))
    (note,) = caught.value.__notes__
    assert __file__ in note


def test_pending_operations_know_their_line_anyway():
    """An operation that waited says where it was called, in any mode."""
    (where, *_) = [note for note in notes(call(x="not")) if "backward of" in note]
    assert f"called at {__file__}:" in where


def test_modes_nest_and_end():
    """Blocks restore what was; the plain call stays in force."""
    assert not is_anomaly_enabled()
    with detect_anomaly():
        with set_detect_anomaly(False):
            assert not is_anomaly_enabled()
        assert is_anomaly_enabled()
    assert not is_anomaly_enabled()
    set_detect_anomaly(True)
    assert is_anomaly_enabled()
    set_detect_anomaly(False)
    assert not is_anomaly_enabled()


def test_mode_is_a_bool():
    """A text such as "off" would turn it on."""
    with pytest.raises(TypeError, match="set_detect_anomaly takes True or False"):
        set_detect_anomaly("off")
    assert is_anomaly_enabled() is False
