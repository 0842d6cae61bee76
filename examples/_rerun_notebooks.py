"""Run notebooks again and keep the new outputs, without traces of this machine.

    python examples/_rerun_notebooks.py [NAME ...]

For maintainers: after cells were edited, or when what afnio prints has changed.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples" / "notebooks"
PYTHON = {"display_name": "Python 3", "language": "python", "name": "python3"}


def rerun(path: Path) -> None:
    """Run one notebook in an empty folder, and write it back."""
    notebook = nbformat.read(path, as_version=4)
    python_path = {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=300, resources=where)
        client.execute(env={**os.environ, **python_path})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata.pop("execution", None)
    notebook.metadata = {"kernelspec": PYTHON, "language_info": {"name": "python"}}
    text = without_machine(nbformat.writes(notebook), folder)
    path.write_text(text.rstrip("\n") + "\n", "utf-8")


def without_machine(text: str, folder: str) -> str:
    """Replace what names this machine: folders, temporary files, the interpreter."""
    text = text.replace(folder, ".").replace(sys.executable, "python")
    for pattern, shown in (
        (r"TEMP/ipykernel_\d+/\d+\.py", "<this cell>"),
        (r"/[\w/.-]*/kernel-[\w-]+\.json|TEMP/tmp\w+\.json", "kernel.json"),
        (r"TEMP/tmp\w+", "(folder)"),
        (r"object at 0x[0-9a-f]+", "object"),
    ):
        place = re.escape(tempfile.gettempdir())
        text = re.sub(pattern.replace("TEMP", place), shown, text)
    return text


for each in sorted(FOLDER.glob("*.ipynb")):
    if not sys.argv[1:] or each.stem in sys.argv[1:]:
        print(each.name, flush=True)
        rerun(each)
