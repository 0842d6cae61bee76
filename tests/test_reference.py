"""Every public name is described on a page of the reference, beside an example."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
NAMES = json.loads((ROOT / "tests" / "api_names.json").read_text("utf-8"))
DIRECTIVE = re.compile(r"^::: (\S+)\n((?:[ ]{4}.*\n?)*)", re.MULTILINE)
EXCLUDED = re.compile(r'"!([^"]*)"')


def resolve(path):
    """Return the object at a dotted path."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(path)


def described(target, options):
    """Return what a directive shows, leaving out what its filters exclude."""
    found = resolve(target)
    if not isinstance(found, ModuleType):
        return [found]
    excluded = EXCLUDED.findall(options) or ["^_"]
    return [
        getattr(found, name)
        for name in getattr(found, "__all__", vars(found))
        if not any(re.search(pattern, name) for pattern in excluded)
    ]


@pytest.fixture(scope="module")
def shown():
    """Every object on any page of the reference."""
    return [
        item
        for page in PAGES
        for target, options in DIRECTIVE.findall(page.read_text("utf-8"))
        for item in described(target, options)
    ]


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_is_on_a_page(module, shown):
    """A new name needs a `:::` line for its module (or no filter that hides it)."""
    missing = [
        name
        for name in NAMES[module]
        if not name.startswith("_")
        and not isinstance(
            item := getattr(importlib.import_module(module), name), ModuleType
        )
        and not any(item is other for other in shown)
    ]
    assert not missing, f"no page of docs/reference shows {missing} of {module}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_has_an_example_that_runs(page):
    """tests/test_docs.py runs it; here, that it is there and comes first."""
    text = page.read_text("utf-8")
    if DIRECTIVE.search(text):
        assert "\n```python\n" in text[: DIRECTIVE.search(text).start()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_listed(page):
    """The table of modules leads to every page."""
    index = (ROOT / "docs" / "reference" / "index.md").read_text("utf-8")
    assert page.name == "index.md" or f"]({page.name})" in index
