"""The page in a real browser; skipped where there is none."""

import shutil
import struct
import subprocess

import pytest
from made_up import decision, step, write_run

from afnio.tracking.report import serve, write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")


def browse(tmp_path, *options):
    """Return what the browser wrote to its two streams."""
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu"),
        *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"),
    ]
    done = subprocess.run(
        [*command, *options], capture_output=True, timeout=100, check=True
    )
    return done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_is_drawn_without_complaint(tmp_path, theme):
    """The script runs under the policy, nothing is reported, and there is a picture."""
    run = write_run(tmp_path / "run", [decision(1), step(1)])
    page = write_report(run)
    text = page.read_text().replace("<html", f'<html data-theme="{theme}"')
    page.write_text(text)
    picture = tmp_path / "page.png"
    size = "--window-size=1280,900"
    _, said = browse(tmp_path, f"--screenshot={picture}", size, page.as_uri())
    assert "CONSOLE" not in said
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    assert (width, height) == (1280, 900)
    dom, _ = browse(tmp_path, "--dump-dom", page.as_uri())
    assert 'class="js"' in dom


def test_hostile_text_runs_nothing(tmp_path):
    """Script that a model wrote is shown, and leaves no trace."""
    bad = "<img src=x onerror=\"document.title='taken'\"><script>1</script>"
    run = write_run(tmp_path / "run", [decision(1, after=bad), step(1)], name=bad)
    dom, _ = browse(tmp_path, "--dump-dom", write_report(run).as_uri())
    assert "<title>taken" not in dom
    assert "<img" not in dom


@pytest.mark.loopback
def test_live_view_follows_the_run(tmp_path, monkeypatch):
    """The browser asks, sees that there is more, and shows it."""
    run = write_run(tmp_path / "run", [step(1)], status="RUNNING")
    asked = []
    with serve(run) as view:
        state = view._server.state

        def progress():
            asked.append(1)
            if len(asked) == 2:  # the first is for the page itself
                events = [step(1), decision(2), step(2)]
                write_run(run, events, status="COMPLETED")
            return state()

        monkeypatch.setattr(view._server, "state", progress)
        wait = "--virtual-time-budget=20000"
        dom, _ = browse(tmp_path, "--dump-dom", wait, view.url)
    assert len(asked) > 2
    assert "Be <del>kind</del>" in dom
    assert "The run has ended." in dom
