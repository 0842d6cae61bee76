"""What adapters share."""

from __future__ import annotations

import subprocess
import sys

import pytest

from afnio.tracking import adapters
from afnio.tracking.adapters._common import flat, numbers, prompts


@pytest.mark.parametrize(
    ("logger", "module", "extra"),
    [
        ("MLflowLogger", "mlflow", "mlflow"),
        ("OpenTelemetryLogger", "opentelemetry.trace", "otel"),
        (
            "TensorBoardLogger",
            "tensorboard.summary.writer.event_file_writer",
            "tensorboard",
        ),
        ("WandbLogger", "wandb", "wandb"),
    ],
)
def test_a_missing_library(monkeypatch, logger, module, extra):
    """The error comes when the logger is made, and names the install line."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImportError, match=rf"{logger} needs .*pip install 'afnio\[{extra}\]'"
    ):
        getattr(adapters, logger)()


def test_importing_adapters_imports_no_library():
    """Each is loaded by its logger."""
    code = (
        "import sys, afnio.tracking.adapters\n"
        "print({'mlflow', 'wandb', 'tensorboard'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_metrics_that_are_numbers():
    """Under names that every tracker takes."""
    found = dict(numbers({"total_cost($)": 1, "a b/c": True, "text": "x", "é%": 0.5}))
    assert found == {"total_cost_usd": 1.0, "a b/c": 1.0, "é_": 0.5}


def test_facts_become_flat():
    """Nested names get dots; what is no text is JSON."""
    facts = {"a": {"b": 1, "c": {"d": "x"}}, "e": [1, None]}
    assert dict(flat(facts)) == {"a.b": "1", "a.c.d": "x", "e": "[1, null]"}


def test_prompts():
    """Texts as they are, rows as JSON."""
    values = [{"name": "a", "data": "x"}, {"name": "b", "data": [["q", "é"]]}]
    assert dict(prompts({"values": values})) == {"a": "x", "b": '[["q", "é"]]'}
