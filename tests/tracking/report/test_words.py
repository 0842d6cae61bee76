"""Findings in words."""

import pytest

from afnio.tracking import Summary
from afnio.tracking.report import _words as words
from afnio.tracking.summary import TestLook


def look(*scores, step=0):
    """Return a look at the test set."""
    mean = sum(scores) / len(scores)
    return TestLook(
        score=mean, samples=len(scores), step=step, scores=scores, sample_set="s"
    )


WORSE = (look(*[1] * 20), look(*[0] * 20, step=1))
BETTER = WORSE[::-1]


@pytest.mark.parametrize(
    ("looks", "up", "tone"),
    [
        (BETTER, True, "good"),
        (WORSE, True, "bad"),
        (BETTER, False, "bad"),
        (WORSE, False, "good"),
        ((look(0, 1), look(1, 1)), True, "open"),
        ((look(0, 1), look(0, 1)), True, "open"),
    ],
)
def test_verdict_says_what_the_interval_allows(looks, up, tone):
    """Only an interval clear of zero is called an improvement, or worse."""
    summary = Summary(looks=looks, higher_is_better=up)
    assert words.verdict(summary)[0] == tone


@pytest.mark.parametrize(
    ("summary", "validation", "claim"),
    [
        (Summary(looks=BETTER), None, "The test score rose from 0.000 to 1.000."),
        (Summary(looks=(look(1), look(1))), None, "The test score stayed at 1.000."),
        (Summary(looks=(look(1),)), None, "The test score was 1.000."),
        (
            Summary(looks=(look(1),), steps=3),
            (0.1, 0.2),
            "The test score was 1.000 before training.",
        ),
        (
            Summary(steps=3),
            (0.2, 0.1),
            "The validation score fell from 0.200 to 0.100.",
        ),
        (Summary(best_score=0.5, monitor="f1"), None, "The best f1 is 0.500."),
        (Summary(steps=1), None, "1 training step, and no test."),
        (Summary(), None, "Nothing to tell yet."),
    ],
)
def test_headline(summary, validation, claim):
    """The first sentence is about the best evidence there is."""
    assert words.headline(summary, validation) == claim


def test_validation_is_called_too_good():
    """Scores that chose the changes are not sold as results."""
    tone, text = words.verdict(Summary(steps=3), (0.1, 0.9))
    assert tone == "open"
    assert "tend to be too good" in text


def test_a_look_may_still_come():
    """While a run goes on, what is missing is missing so far."""
    text = words.verdict(Summary(looks=(look(1),), steps=3), running=True)[1]
    assert text == "There was no look after training yet."


def test_hidden_characters_are_seen():
    """Control and direction characters become words or symbols."""
    assert words.visible("a\x00b\x1bc") == "a␀b␛c"
    assert words.visible("\u202e") == "[RIGHT-TO-LEFT OVERRIDE]"
    assert words.visible("\x9f\ud800") == "[U+009F]\ufffd"
    assert words.visible("tab\tline\n שלום") == "tab\tline\n שלום"


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (12.345, "$12.35"), (0.00123, "$0.0012"), (1e-6, "<$0.0001")],
)
def test_dollars(amount, text):
    """Small amounts are not rounded to nothing."""
    assert words.dollars(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.21, "3.2 s"), (75, "1 min 15 s"), (7300, "2 h 1 min")]
)
def test_durations(seconds, text):
    """Times are told as people tell them."""
    assert words.duration(seconds) == text
