"""What users may rely on: names, import side effects, layers, and sizes of files."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import afnio

ROOT = Path(afnio.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MAX_LINES = 350
MAX_FUNCTION = 40
MAX_PARAMETERS = 8
DOCUMENTED_SIGNATURES = {
    # signatures that the documented API fixes
    "__init__",
    "apply",
    "plan",
    "forward",
    "lm_judge_evaluator",
    "tgd",
}


def public_modules():
    """Name every module whose path users may write."""
    found = pkgutil.walk_packages(afnio.__path__, "afnio.")
    names = (module.name for module in found)
    return ["afnio", *(n for n in names if not any(p[0] == "_" for p in n.split(".")))]


@pytest.mark.parametrize("name", public_modules())
def test_every_public_name_exists(name):
    """Every name in an __all__ can be reached; the linter keeps them sorted."""
    module = importlib.import_module(name)
    for item in getattr(module, "__all__", []):
        assert getattr(module, item) is not None


def test_the_public_names_are_pinned():
    """Adding or removing a public name is a decision: change api_names.json with it."""
    pinned = json.loads((Path(__file__).parent / "api_names.json").read_text("utf-8"))
    actual = {
        name: sorted(importlib.import_module(name).__all__)
        for name in public_modules()
        if hasattr(importlib.import_module(name), "__all__")
    }
    assert actual == pinned


IMPORT_PROBE = """
import builtins, io, logging, os, socket, sys
opened = []
real_open = builtins.open
def spy(file, mode="r", *args, **kwargs):
    if set(mode) & set("wax+"):
        opened.append(file)
    return real_open(file, mode, *args, **kwargs)
builtins.open = io.open = spy
def refuse(*args, **kwargs):
    raise AssertionError("socket at import")
socket.socket.connect = refuse
import threading
before = (list(logging.root.handlers), logging.root.level, threading.active_count())
import afnio
after = (list(logging.root.handlers), logging.root.level, threading.active_count())
assert before == after, (before, after)
assert not opened, opened
heavy = {"openai", "anthropic", "rich", "xllamacpp", "httpx2", "genai_prices",
         "tenacity", "pydantic"}
loaded = heavy & set(sys.modules)
assert not loaded, loaded
"""


def test_importing_afnio_does_nothing():
    """No file is written, nothing connects, no logging, no thread, no SDK."""
    probe = subprocess.run(
        [sys.executable, "-c", IMPORT_PROBE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert probe.returncode == 0, probe.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    """One idea per file; functions that fit in the eye."""
    source = path.read_text("utf-8")
    assert source.count("\n") <= MAX_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert code_lines(node) <= MAX_FUNCTION, node.name
            if node.name not in DOCUMENTED_SIGNATURES and not documented(node):
                count = len(
                    node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                )
                assert count <= MAX_PARAMETERS + 1, node.name


def documented(node):
    """Tell whether the signature is not ours to choose."""
    return node.name.startswith("__")


def code_lines(node):
    """Count a function's lines without signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_tests_mirror_the_package():
    """Every test file of a subpackage stands where its module does."""
    tests = Path(__file__).parent
    for folder in ("autodiff", "models", "optim", "trainer", "tracking", "cognitive"):
        assert (tests / folder).is_dir(), folder
