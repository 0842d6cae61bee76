"""The documentation site: complete, without dead ends, and usable without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from html import unescape
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

needs_zensical = pytest.mark.skipif(
    find_spec("zensical") is None, reason="the extra docs is not installed"
)


def pages_of(entry):
    """List the pages below an entry of the navigation."""
    if isinstance(entry, str):
        return [entry]
    inner = entry if isinstance(entry, list) else entry.values()
    return [page for item in inner for page in pages_of(item)]


def test_every_page_is_in_the_navigation_once():
    """A page that nothing leads to is not read; an entry without a page is dead."""
    there = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
    assert sorted(pages_of(CONFIG["nav"])) == there


def test_every_example_is_on_the_page_of_examples():
    """What can be run is listed, and nothing else."""
    folder = ROOT / "examples"
    there = {path.name for path in folder.glob("[a-z]*.py")}
    there |= {path.name for path in folder.glob("notebooks/*.ipynb")}
    listed = re.findall(
        r"^\| `(\S+)` \|", (DOCS / "examples.md").read_text(), re.MULTILINE
    )
    assert set(listed) == there


class Links(HTMLParser):
    """What a page links to, what it loads, and the places in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids = [], [], set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        """Sort the attributes of a tag."""
        given = dict(attrs)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif given.get("src"):
            self.loads.append(given["src"])
        elif tag == "link" and given.get("href"):
            self.loads.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as CI builds it, from a copy of what it is made of."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("afnio", "docs"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("zensical.toml", "SECURITY.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    build = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(
        build, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site):
    """The built pages, read."""
    return {path: Links(path) for path in sorted(site.rglob("*.html"))}


@needs_zensical
def test_nothing_is_loaded_from_elsewhere(site, pages):
    """Scripts, styles, fonts and images are all in the folder."""
    for path, page in pages.items():
        for target in page.loads:
            assert not urlsplit(target).netloc, f"{path.name} loads {target}"
            where = path.parent / unquote(urlsplit(target).path)
            assert where.exists() or path.name == "404.html", f"{path}: {target}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text("utf-8"))
        assert "@import" not in style.read_text("utf-8")


@needs_zensical
def test_every_link_leads_somewhere(pages):
    """Links between pages find their page, and the place in it."""
    dead = [
        f"{path.name}: {link}"
        for path, page in pages.items()
        if path.name != "404.html"
        for link in page.links
        if not (parts := urlsplit(link)).scheme and not leads(path, parts, pages)
    ]
    assert not dead, "\n".join(dead)


def leads(path, parts, pages):
    """Tell whether a relative link has a page and a place."""
    where = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if where not in pages:
        return where.exists()
    return not parts.fragment or unquote(parts.fragment) in pages[where].ids


@needs_zensical
def test_every_public_name_has_a_place(pages):
    """Pinned names are headings in the reference, and can be linked to."""
    ids = {
        i for path, page in pages.items() if "reference" in path.parts for i in page.ids
    }
    shown = {name.rpartition(".")[2] for name in ids if name.startswith("afnio.")}
    pinned = json.loads((ROOT / "tests" / "api_names.json").read_text("utf-8"))
    missing = {
        f"{module}.{name}"
        for module, names in pinned.items()
        for name in names
        if not name.startswith("_")
        and f"{module}.{name}" not in pinned
        and name not in shown
        and not isinstance(getattr(import_module(module), name), ModuleType)
    }
    assert not missing


@needs_zensical
def test_long_signatures_are_wrapped(site):
    """One parameter a line; without a formatter, mkdocstrings writes one long line."""
    text = (site / "reference" / "trainer.html").read_text("utf-8")
    signatures = re.findall(r"doc-signature.*?<code>(.*?)</code>", text, re.DOTALL)
    lines = unescape(re.sub(r"<[^>]*>", "", "\n".join(signatures))).splitlines()
    assert lines
    assert max(map(len, lines)) <= 100


SEARCH = """
<pre id="found"></pre>
<script>
  const hosts = () => [...document.querySelectorAll("body > div")];
  const inside = () => hosts().map((host) => host.shadowRoot).find(Boolean);
  document.querySelector(".md-search__button").click();
  let typed = false;
  setInterval(() => {
    const input = inside()?.querySelector("input");
    if (input && !typed) {
      typed = true;
      input.value = "QUERY";
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
    const links = [...(inside()?.querySelectorAll("a") ?? [])];
    document.getElementById("found").textContent = links.map((a) => a.href).join(" ");
  }, 100);
</script>
</body>"""


def search(site, query):
    """Type a query into the page's search, from disk, and return what it finds."""
    page = site / "search-test.html"
    text = (site / "index.html").read_text("utf-8")
    page.write_text(text.replace("</body>", SEARCH.replace("QUERY", query)), "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    options += ["--virtual-time-budget=10000", "--host-resolver-rules=MAP * ~NOTFOUND"]
    found = subprocess.run(
        [
            CHROMIUM,
            *options,
            f"--user-data-dir={site.parent / 'browser'}",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    page.unlink()
    return re.search(r'<pre id="found">(.*?)</pre>', found.stdout, re.DOTALL)[1].split()


@needs_zensical
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_search_works_from_disk_without_a_network(site):
    """Words of a guide and a name of the API lead there; nonsense finds nothing."""
    assert any("guides/data.html" in link for link in search(site, "polars"))
    assert any("reference/data.html" in link for link in search(site, "find_overlap"))
    assert search(site, "xyzzyplugh") == []
