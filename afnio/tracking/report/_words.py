"""Numbers and findings in words. Pure."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from afnio.tracking.summary import Difference, Summary

_MINUTE: Final = 60
_HOUR: Final = 3600

_HIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def visible(value: str) -> str:
    """Return a text in which control characters are seen and do nothing.

    Among them are those that turn the direction of what follows. Tab and newline stay.
    """
    shown = _SURROGATE.sub("\ufffd", value)
    return _HIDDEN.sub(_name, shown)


def _name(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:  # noqa: PLR2004 - the symbols for C0 controls stand in this order
        return chr(0x2400 + code)
    name = unicodedata.name(match.group(), "")
    return f"[{name or f'U+{code:04X}'}]"


def score(value: float | None) -> str:
    """Write a score."""
    if value is None or math.isnan(value):
        return "not known"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"  # noqa: PLR2004


def change(value: float) -> str:
    """Write a difference, with its sign; the minus is a real one."""
    shown = f"{value:+.3f}" if abs(value) < 100 else f"{value:+,.1f}"  # noqa: PLR2004
    return shown.replace("-", "\N{MINUS SIGN}")


def interval(pair: tuple[float, float] | None, *, signed: bool = False) -> str:
    """Write an interval; empty if there is none."""
    if pair is None:
        return ""
    form = change if signed else score
    return f"{form(pair[0])} to {form(pair[1])}"


def counted(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Write a length of time.

    Examples:
        >>> duration(75), duration(3.21)
        ('1 min 15 s', '3.2 s')
    """
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"


def dollars(amount: float) -> str:
    """Write US dollars; small amounts keep two digits that say something."""
    if 0 < amount < 0.01:  # noqa: PLR2004 - a cent
        return f"${amount:.2g}" if amount >= 0.0001 else "<$0.0001"  # noqa: PLR2004
    return f"${amount:,.2f}"


def day(moment: datetime) -> str:
    """Write a date and time, in UTC offsets as they were noted."""
    zone = moment.strftime("%Z") or ""
    return f"{moment.day} {moment:%b %Y, %H:%M} {zone}".strip()


Ends = tuple[float, float] | None
"""The first and the last validation score, if there are two."""


def headline(summary: Summary, validation: Ends = None, logged: int = 0) -> str:
    """Say in one sentence what became of the score.

    Args:
        summary: The run's summary.
        validation: The first and the last validation score.
        logged: How many metrics were logged.
    """
    looks = summary.looks
    if len(looks) > 1:
        return f"The test score {_went(looks[0].score, looks[-1].score)}."
    if looks:
        when = " before training" if summary.steps > looks[0].step else ""
        return f"The test score was {score(looks[0].score)}{when}."
    if validation is not None:
        return f"The validation score {_went(*validation)}."
    if summary.best_score is not None:
        name = summary.monitor or "score"
        return f"The best {name} is {score(summary.best_score)}."
    if summary.steps:
        return f"{counted(summary.steps, 'training step')}, and no test."
    return f"{counted(logged, 'metric')} logged." if logged else "Nothing to tell yet."


def _went(first: float, last: float) -> str:
    difference = last - first
    if math.isnan(difference) or abs(difference) < 0.0005:  # noqa: PLR2004 - 3 digits
        return f"stayed at {score(last)}"
    verb = "rose" if difference > 0 else "fell"
    return f"{verb} from {score(first)} to {score(last)}"


def verdict(
    summary: Summary, validation: Ends = None, *, running: bool = False
) -> tuple[str, str]:
    """Return ``good``, ``bad`` or ``open``, and what the evidence allows to say."""
    found, looks = summary.difference, summary.looks
    if found is not None:
        return _paired(found, higher_is_better=summary.higher_is_better)
    if len(looks) > 1:
        return "open", (
            "The looks were not at samples known to be the same, so the change has no "
            "paired interval."
        )
    if not summary.steps:
        return "open", ""
    yet = " yet" if running else ""
    seen = f"There was no look after training{yet}."
    if not looks:
        seen = f"The test set was not looked at{yet}."
    if validation is None:
        return "open", seen
    also = f" The validation score {_went(*validation)}." if looks else ""
    return "open", (
        f"{seen}{also} Changes are chosen on validation samples, so scores on them "
        "tend to be too good."
    )


def _paired(found: Difference, *, higher_is_better: bool) -> tuple[str, str]:
    low, high = found.interval
    if not higher_is_better:
        low, high = -high, -low
    if low > 0:
        return "good", "This is an improvement: the interval lies clear of zero."
    if high < 0:
        return "bad", "This is worse: the interval lies clear of zero."
    if found.mean == 0 and not found.higher and not found.lower:
        return "open", "No sample changed its score."
    return "open", (
        "This may be chance: the interval includes zero. More test samples would tell."
    )


def sides(found: Difference, *, higher_is_better: bool) -> Sequence[tuple[str, int]]:
    """Return how many samples became better, became worse and stayed."""
    better, worse = found.higher, found.lower
    if not higher_is_better:
        better, worse = worse, better
    equal = found.samples - better - worse
    return ("better", better), ("worse", worse), ("unchanged", equal)
