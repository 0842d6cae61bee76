"""TensorBoard: metrics as curves and prompts as text, in event files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afnio.tracking.adapters._common import need, numbers, prompts
from afnio.tracking.loggers import RunInfo, RunLogger

__all__ = ["TensorBoardLogger"]


class TensorBoardLogger(RunLogger):
    """Writes event files for ``tensorboard --logdir``.

    Args:
        log_dir: Where; by default ``tensorboard`` in the run's directory, or ``runs``
            without one.

    Attributes:
        log_dir: Where, once it has begun.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, log_dir: str | Path | None = None) -> None:
        name = "TensorBoardLogger"
        self._files = need(
            "tensorboard.summary.writer.event_file_writer", name, "tensorboard"
        )
        self._event = need("tensorboard.compat.proto.event_pb2", name, "tensorboard")
        self._summary = need(
            "tensorboard.compat.proto.summary_pb2", name, "tensorboard"
        )
        self._tensor = need("tensorboard.compat.proto.tensor_pb2", name, "tensorboard")
        self._shape = need(
            "tensorboard.compat.proto.tensor_shape_pb2", name, "tensorboard"
        )
        self.log_dir = log_dir
        self._writer: Any = None

    def start(self, run: RunInfo) -> None:
        """Open an event file; a run that is resumed gets one more."""
        if self.log_dir is None:
            root = Path("runs") if run.path is None else run.path
            self.log_dir = root / "tensorboard"
        Path(self.log_dir).mkdir(parents=True, exist_ok=True)
        self._writer = self._files.EventFileWriter(str(self.log_dir))

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Show facts as text."""
        for name, value in facts.items():
            text = json.dumps(value, indent=1, ensure_ascii=False)
            self._text(f"run/{name}", f"    {text}".replace("\n", "\n    "), 0)

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Add a point to the curve of each number."""
        for name, number in numbers(metrics):
            value = self._summary.Summary.Value(tag=name, simple_value=number)
            self._add(value, step)

    def log_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Show prompts as text, by step."""
        if kind == "parameters":
            for name, text in prompts(fields):
                indented = "\n".join(f"    {line}" for line in text.splitlines())
                self._text(f"prompts/{name}", indented, fields["step"])

    def finish(self, status: str) -> None:
        """Close the file."""
        self._text("run/status", status, 0)
        self._writer.close()

    def _text(self, tag: str, text: str, step: int) -> None:
        plugin = self._summary.SummaryMetadata.PluginData(plugin_name="text")
        tensor = self._tensor.TensorProto(
            dtype="DT_STRING",
            string_val=[text.encode("utf-8", "replace")],
            tensor_shape=self._shape.TensorShapeProto(
                dim=[self._shape.TensorShapeProto.Dim(size=1)]
            ),
        )
        value = self._summary.Summary.Value(
            tag=f"{tag}/text_summary",
            metadata=self._summary.SummaryMetadata(plugin_data=plugin),
            tensor=tensor,
        )
        self._add(value, step)

    def _add(self, value: Any, step: int) -> None:
        summary = self._summary.Summary(value=[value])
        event = self._event.Event(wall_time=time.time(), step=step, summary=summary)
        self._writer.add_event(event)
