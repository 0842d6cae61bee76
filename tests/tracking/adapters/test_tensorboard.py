"""TensorBoard: what its own reader finds in the event files."""

from __future__ import annotations

import pytest

from afnio import tracking
from afnio.tracking.adapters import TensorBoardLogger

pytest.importorskip(
    "tensorboard", reason="needs tensorboard: pip install 'afnio[tensorboard]'"
)


def test_event_files_read_back():
    """Curves with their steps, prompts as text."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger()
    with tracking.init("me", "P", loggers=[logger]) as run:
        for step in (1, 2):
            run.log("val_loss", step / 2, step)
        values = [{"name": "word", "role": "r", "data": "Be brief."}]
        run.record("parameters", step=4, values=values)
    assert logger.log_dir == run.path / "tensorboard"
    found = EventAccumulator(str(logger.log_dir)).Reload()
    points = [(e.step, e.value) for e in found.Scalars("val_loss")]
    assert points == [(1, 0.5), (2, 1.0)]
    (text,) = found.Tensors("prompts/word/text_summary")
    assert text.step == 4
    assert text.tensor_proto.string_val[0] == b"    Be brief."
    assert "run/status/text_summary" in found.Tags()["tensors"]
