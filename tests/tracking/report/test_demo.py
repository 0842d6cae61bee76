"""Reports of runs as a Trainer writes them, on scripted models."""

import warnings

import pytest
from demo_run import demo
from made_up import Page

from afnio.tracking.report import read_summary, write_report


@pytest.fixture(autouse=True)
def _refusals_are_expected():
    """The scripted editor repeats itself, of which the optimizer warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def test_a_trainers_run_fills_every_part(tmp_path):
    """What the Trainer records is what the report reads."""
    path = demo(tmp_path)
    page = Page(write_report(path).read_text("utf-8"))
    assert [a["href"] for a in page.all("a")][1:] == [
        "#curves",
        "#changes",
        "#rejected",
        "#samples",
        "#costs",
        "#details",
    ]
    for words in (
        "This is an improvement: the interval lies clear of zero.",
        "Trouble with signing in is account.",
        "The critique it answers to",
        "Evidence: ",
        "got better",
        "rewrites",
        "ChatCompletion",
        "2 times",
    ):
        assert words in page.text, words


def test_the_summary_is_the_trainers(tmp_path):
    """The terminal and the page are fed from the same facts."""
    trainers = []
    path = demo(tmp_path, trainers=trainers)
    mine, own = read_summary(path), trainers[0].summary()
    for name in ("looks", "parameters", "decisions", "usage", "examples", "monitor"):
        assert getattr(mine, name) == getattr(own, name), name
    assert (mine.steps, mine.epochs, mine.best_score) == (
        own.steps,
        own.epochs,
        own.best_score,
    )
    assert "Example answers" in str(mine)


def test_a_trainers_crash_is_readable(tmp_path):
    """A run that died in its middle shows what it had kept by then."""
    with pytest.raises(RuntimeError, match="is full"):
        demo(tmp_path, explode_at=5)
    path = next(tmp_path.glob("*/*/run.json")).parent
    page = Page(write_report(path).read_text("utf-8"))
    assert "This run crashed. RuntimeError." in " ".join(page.text.split())
    assert "0.338 before training" in page.text
    (change,) = read_summary(path).parameters
    assert "money given back is billing" in change.after
