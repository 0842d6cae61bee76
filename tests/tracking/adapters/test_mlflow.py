"""MLflow, on its own file store, read back through its own API."""

from __future__ import annotations

import pytest

from afnio import tracking
from afnio.tracking.adapters import MLflowLogger

pytest.importorskip("mlflow", reason="needs mlflow: pip install 'afnio[mlflow]'")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return the address of an empty store."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return f"file:{tmp_path}/mlruns"


def client_of(store):
    """Return MLflow's own client."""
    import mlflow

    return mlflow.MlflowClient(tracking_uri=store)


def read(store, logger, name="m"):
    """Return the run, the history of a metric, and its prompts, as MLflow has them."""
    client = client_of(store)
    history = [
        (m.step, m.value) for m in client.get_metric_history(logger.run_id, name)
    ]
    files = [f.path for f in client.list_artifacts(logger.run_id, "prompts/word")]
    return client.get_run(logger.run_id), history, files


def test_a_run_read_back(store):
    """Metrics with their steps, facts, prompts, files and the status are all there."""
    logger = MLflowLogger(tracking_uri=store, tags={"team": "x"})
    with tracking.init("me", "Project", name="first", loggers=[logger]) as run:
        run.describe(seeds={"trainer": 5})
        for step in (1, 2):
            run.log("m", step / 2, step)
        run.log("total_cost($)", 0.5)
        run.log("text", "is no number")
        values = [{"name": "word", "role": "r", "data": "Be brief."}]
        run.record("parameters", step=0, values=values)
    found, history, files = read(store, logger)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "first"
    assert history == [(1, 0.5), (2, 1.0)]
    assert found.data.metrics == {"m": 1.0, "total_cost_usd": 0.5}
    assert found.data.params["seeds.trainer"] == "5"
    assert found.data.params["versions.afnio"]
    assert found.data.tags["team"] == "x"
    assert files == ["prompts/word/step_00000.txt"]
    client = client_of(store)
    kept = {file.path for file in client.list_artifacts(logger.run_id, "afnio")}
    assert kept == {"afnio/run.json", "afnio/events.jsonl"}
    experiment = client.get_experiment(found.info.experiment_id)
    assert experiment.name == "Project"


def test_a_crashed_run(store):
    """It has failed there too."""
    logger = MLflowLogger("mine", tracking_uri=store)
    with pytest.raises(KeyError), tracking.init("me", "P", loggers=[logger]):
        raise KeyError
    assert read(store, logger)[0].info.status == "FAILED"


def test_a_resumed_run_goes_on_in_the_same_one(store):
    """One MLflow run; a fact that has changed becomes a tag."""
    first, second = (MLflowLogger(tracking_uri=store) for _ in range(2))
    with tracking.init("me", "P", loggers=[first]) as run:
        run.log("m", 1.0)
        run.describe(seed=1)
    with tracking.resume(run.path, loggers=[second]) as again:
        again.log("m", 2.0)
        again.describe(seed=2)
    assert first.run_id == second.run_id
    found, history, _ = read(store, second)
    assert history == [(0, 1.0), (1, 2.0)]
    assert (found.data.params["seed"], found.data.tags["seed"]) == ("1", "2")
