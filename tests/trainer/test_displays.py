"""One live line on a terminal, plain lines elsewhere."""

import io
import itertools
import sys
import types
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

import pytest
from rich.console import Console

from afnio.trainer._displays import Bars, Lines, Notebook, Shown, display_for

LONG = Shown("[Test]", 1, 4, "metric: 1 - " * 20, "(3 calls)", 12.0)


def console(**options):
    """Return a console that writes into memory."""
    return Console(file=io.StringIO(), width=60, **options)


def test_the_display_suits_the_console():
    """Files get lines; so do notebooks if IPython is not there."""
    bars = display_for(console(force_terminal=True), 1, float)
    assert isinstance(bars, Bars)
    bars.close()
    assert isinstance(display_for(console(), 1, float), Lines)
    notebook = console(force_terminal=True, force_jupyter=True)
    if find_spec("IPython") is None:
        assert isinstance(display_for(notebook, 1, float), Lines)


class FakeHandle:
    """Keeps what a notebook would show."""

    def __init__(self):
        self.shown = []

    def display(self, bundle, **options):
        assert options == {"raw": True, "display_id": True}
        self.shown.append(bundle)
        return self

    def update(self, bundle, *, raw):
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def handle(monkeypatch):
    """Put a notebook around the test."""
    made = FakeHandle()
    module = types.ModuleType("IPython.display")
    module.display = made.display
    parent = types.ModuleType("IPython")
    parent.__spec__ = ModuleSpec("IPython", None)
    monkeypatch.setitem(sys.modules, "IPython", parent)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return made


class TestNotebook:
    def test_one_output_is_updated_in_place(self, handle):
        """The bar moves; the phase that is over stays as a line; texts are escaped."""
        screen = console(force_terminal=True, force_jupyter=True)
        shown = display_for(screen, 1, itertools.count().__next__)
        assert isinstance(shown, Notebook)
        shown.say("Epoch 1/2")
        shown.begin(Shown("[Test]", 1, 4, "m: 1", "(<b>3</b> calls)"))
        bundle = handle.shown[-1]
        assert bundle["text/plain"] == "Epoch 1/2\n[Test] 1/4 (<b>3</b> calls) m: 1"
        assert '<progress max="4" value="1">' in bundle["text/html"]
        assert "&lt;b&gt;3" in bundle["text/html"]
        shown.end(Shown("[Test]", 4, 4, "m: 2"))
        shown.close()
        assert handle.shown[-1]["text/plain"] == "Epoch 1/2\n[Test] 4/4 m: 2"
        assert "<progress" not in handle.shown[-1]["text/html"]

    def test_it_does_not_flood(self, handle):
        """Updates come twice a second at most, and old lines are cut, which is said."""
        shown = Notebook(lambda: 0.0)
        shown.begin(LONG)
        count = len(handle.shown)
        for _ in range(50):
            shown.update(LONG)
        assert len(handle.shown) == count
        for number in range(150):
            shown.say(f"line {number}")
        lines = handle.shown[-1]["text/plain"].splitlines()
        assert lines[0] == "[50 lines cut here]"
        assert len(lines) == 102


def test_the_bar_stays_in_one_line():
    """However many metrics there are, a live line is cut, and the last one is not."""
    screen = console(force_terminal=True, legacy_windows=False)
    bars = Bars(screen)
    bars.begin(LONG)
    bars._progress.refresh()
    live = screen.file.getvalue()
    assert "\n" not in live
    assert "…" in live
    bars.end(LONG)
    bars.close()
    assert ("metric: 1 - " * 20).strip() in screen.file.getvalue()


def test_a_line_says_how_long_it_has_been():
    """While a step takes long, time and calls are what moves."""
    screen = console()
    lines = Lines(screen, 0, float)
    lines.update(Shown("[Training]", 0, None, "", "(FewShot step, 9 calls)", 61.4))
    assert screen.file.getvalue() == "[Training] 0/? 61s (FewShot step, 9 calls)\n"
