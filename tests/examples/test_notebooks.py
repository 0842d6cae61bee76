"""Every notebook runs from top to bottom, in a kernel of its own, without a key."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples/notebooks").glob("*.ipynb"))
ROOT = Path(__file__).parents[2]

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")


def environment():
    """Return what a kernel finds: this afnio, and no keys."""
    env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    return env | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # of the notebook's own machinery
def test_notebook_runs(path, tmp_path):
    """No cell fails or warns, and no key or network is needed."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=200,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env=environment())
    assert [each for each in outputs(notebook) if each.get("name") == "stderr"] == []


def outputs(notebook):
    """Return the outputs of all cells."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output for cell in code for output in cell.outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_are_whole(path):
    """All code cells were run, in order and without an error, before the commit."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {each.output_type for each in outputs(notebook)}
    assert "error" not in kinds
    assert "stderr" not in {each.get("name") for each in outputs(notebook)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_name_no_machine(path):
    """Neither folders of whoever ran it last, nor their Python."""
    notebook = nbformat.read(path, as_version=4)
    for output in outputs(notebook):
        data = output.get("data", {})
        text = [data[kind] for kind in data if kind.startswith("text/")]
        shown = "\n".join([output.get("text", ""), *text])
        assert not re.findall(r"(?<![\w.])/(?:tmp|home|root|work|Users|usr)/\w+", shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_says_how_to_use_a_real_model(path):
    """Scripted models are for reading; the last words are about real ones."""
    notebook = nbformat.read(path, as_version=4)
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert re.search(r"^## With (a real model|real models)$", text[-1], re.MULTILINE)
    assert "afnio.models.openai" in text[-1]
