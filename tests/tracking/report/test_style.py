"""The style sheet: words can be read in both themes."""

import re
from importlib.resources import files

import pytest

CSS = files("afnio.tracking.report").joinpath("templates/report.css").read_text()
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+):light-dark\((#\w+),(#\w+)\)", CSS)
}
PAIRS = [
    *((text, back) for text in ("ink", "soft") for back in ("paper", "card", "sunk")),
    *(("accent", back) for back in ("paper", "card")),
    *((tone, back) for tone in ("good", "bad") for back in ("paper", "card")),
    *((tone, f"{tone}-bg") for tone in ("good", "bad", "warn")),
    *(("ink", back) for back in ("bad-bg", "warn-bg")),
    ("soft", "warn-bg"),
    ("test", "card"),
]


def luminance(colour):
    """Return a colour's relative luminance, as WCAG 2.2 defines it."""
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Return the contrast ratio of two colours."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "back"), PAIRS)
def test_contrast_is_enough(text, back, theme):
    """Every pair of text and ground reaches 4.5 to 1 (WCAG 2.2, level AA)."""
    assert contrast(COLOURS[text][theme], COLOURS[back][theme]) >= 4.5


@pytest.mark.parametrize(
    "feature",
    [
        "prefers-reduced-motion",
        "forced-colors",
        "@media print",
        "max-width",
        ":focus-visible",
    ],
)
def test_readers_wishes_are_heard(feature):
    """Motion, forced colours, paper, phones and keyboards have rules of their own."""
    assert feature in CSS
