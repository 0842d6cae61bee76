"""MLflow: metrics, facts and prompts of a run, in a tracking store or server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from afnio.tracking.adapters._common import flat, need, numbers, plain_name, prompts
from afnio.tracking.loggers import RunInfo, RunLogger
from afnio.tracking.store import EVENTS_FILE, RUN_FILE, file_name

__all__ = ["MLflowLogger"]

_STATUS: Final = {"COMPLETED": "FINISHED", "CRASHED": "FAILED", "FAILED": "FAILED"}
_UUID: Final = "afnio.uuid"
_LIMIT: Final = 500
"""Characters of a fact; every store takes as many."""


class MLflowLogger(RunLogger):
    """Records a run with MLflow: metrics, parameters, prompts and the run's own files.

    A run that is resumed goes on in the same MLflow run. MLflow's active run, if the
    program has one, is left alone.

    Args:
        experiment: Its name; by default the project's. It is made if it is not there.
        tracking_uri: The store or server; by default what MLflow is set to.
        tags: Further tags of the run.

    Attributes:
        run_id: MLflow's name of the run, once it has begun.

    Raises:
        MissingExtraError: MLflow is not installed.
    """

    def __init__(
        self,
        experiment: str | None = None,
        *,
        tracking_uri: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        mlflow = need("mlflow", "MLflowLogger", "mlflow")
        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient(tracking_uri=tracking_uri)
        self._experiment = experiment
        self._tags = dict(tags or {})
        self._params: dict[str, str] = {}
        self._path: Path | None = None
        self.run_id: str | None = None

    def start(self, run: RunInfo) -> None:
        """Begin an MLflow run, or go on with the one of this run."""
        name = self._experiment or run.project
        found = self._client.get_experiment_by_name(name)
        experiment: str = (
            self._client.create_experiment(name)
            if found is None
            else found.experiment_id
        )
        self._path = run.path
        self.run_id = self._known(experiment, run) if run.resumed else None
        if self.run_id is not None:
            self._client.update_run(self.run_id, status="RUNNING")
            known = self._client.get_run(self.run_id).data.params
            self._params = dict(known)
            return
        tags = {**self._tags, _UUID: run.uuid}
        if run.description:
            tags["mlflow.note.content"] = run.description
        made = self._client.create_run(experiment, run_name=run.name, tags=tags)
        self.run_id = made.info.run_id

    def _known(self, experiment: str, run: RunInfo) -> str | None:
        found = self._client.search_runs(
            [experiment], filter_string=f"tags.`{_UUID}` = '{run.uuid}'", max_results=1
        )
        return found[0].info.run_id if found else None

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Log facts as parameters; one that changes later, as a tag."""
        new = {plain_name(k): v[:_LIMIT] for k, v in flat(facts)}
        changed = {k: v for k, v in new.items() if self._params.get(k, v) != v}
        fresh = {k: v for k, v in new.items() if k not in self._params}
        self._params |= fresh
        self._batch(
            params=[self._entities.Param(k, v) for k, v in fresh.items()],
            tags=[self._entities.RunTag(k, v) for k, v in changed.items()],
        )

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Log what is a number."""
        now = int(time.time() * 1000)
        found = [
            self._entities.Metric(name, value, now, step)
            for name, value in numbers(metrics)
        ]
        self._batch(metrics=found)

    def log_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Keep prompts as text, one file for each value they had."""
        if kind == "parameters":
            for name, text in prompts(fields):
                file = f"prompts/{file_name(name)}/step_{fields['step']:05}.txt"
                self._client.log_text(self.run_id, text, file)

    def finish(self, status: str) -> None:
        """Add the run's own files, and end the MLflow run."""
        if self._path is not None:
            for name in (RUN_FILE, EVENTS_FILE):
                if (self._path / name).exists():
                    file = str(self._path / name)
                    self._client.log_artifact(self.run_id, file, "afnio")
        self._client.set_terminated(self.run_id, _STATUS.get(status, "FINISHED"))

    def _batch(self, **items: list[Any]) -> None:
        for kind, values in items.items():
            for start in range(0, len(values), 100):  # MLflow takes no more at a time
                part = {kind: values[start : start + 100]}
                self._client.log_batch(self.run_id, **part)
