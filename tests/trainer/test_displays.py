"""One live line on a terminal, plain lines elsewhere."""

import io

from rich.console import Console

from afnio.trainer._displays import Bars, Lines, Shown, display_for

LONG = Shown("[Test]", 1, 4, "metric: 1 - " * 20, "(3 calls)", 12.0)


def console(**options):
    """Return a console that writes into memory."""
    return Console(file=io.StringIO(), width=60, **options)


def test_the_display_suits_the_console():
    """Files and notebooks get lines."""
    bars = display_for(console(force_terminal=True), 1, float)
    assert isinstance(bars, Bars)
    bars.close()
    assert isinstance(display_for(console(), 1, float), Lines)
    notebook = console(force_terminal=True, force_jupyter=True)
    assert isinstance(display_for(notebook, 1, float), Lines)


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
