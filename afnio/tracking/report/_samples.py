"""What became of each sample between the first and the last look at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afnio.tracking.report._timeline import At, Timeline
from afnio.tracking.report._values import count, mappings, number, text
from afnio.tracking.summary import Summary

MAX_ROWS: Final = 400
_TEXT: Final = 600
_ORDER: Final = ("worse", "better", "wrong", "right", "same")

WORDS: Final = {
    "worse": "got worse",
    "better": "got better",
    "wrong": "still wrong",
    "right": "still right",
    "same": "unchanged",
}
"""What can become of a sample."""

ONCE: Final = {**WORDS, "wrong": "wrong", "right": "right", "same": "scored"}
"""The same, where there was one look only."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample; what is not known is empty or None."""

    number: int
    kind: str
    input: str
    target: str
    before: str
    after: str
    score_before: float | None
    score_after: float | None


@dataclass(frozen=True, slots=True)
class Samples:
    """All samples of a stage, those whose score changed first."""

    stage: str
    rows: tuple[Sample, ...]
    counts: tuple[tuple[str, str, int], ...]
    """Kind, what it means, how many."""
    total: int
    is_pair: bool
    """Whether there are two looks to compare."""
    has_texts: bool


def samples_of(found: Timeline, summary: Summary) -> Samples | None:
    """Compare the first and the last look, sample by sample.

    Looks at the test set come first; without one, validations. Runs that have noted
    scores only are shown by number.
    """
    for stage in ("test", "validate"):
        looks = [at for at in found.outcomes if at.event.get("stage") == stage]
        if looks:
            return _from_outcomes(stage, looks, better_is_up=summary.higher_is_better)
    return _from_scores(summary)


def _from_outcomes(
    stage: str, looks: list[At], *, better_is_up: bool
) -> Samples | None:
    last = looks[-1].event
    same = [at for at in looks if _set_of(at) and _set_of(at) == _set_of(looks[-1])]
    first = same[0].event if len(same) > 1 else None
    known = _texts(same or [looks[-1]])
    before = {} if first is None else _by_key(first)
    rows = []
    for number_, (key, now) in enumerate(_by_key(last).items(), 1):
        was = before.get(key)
        rows.append(_sample(number_, known[key], was, now, up=better_is_up))
    total = max(len(rows), count(last.get("total")))
    return _samples(stage, rows, total, is_pair=first is not None, has_texts=True)


def _set_of(at: At) -> str:
    return text(at.event.get("sample_set"), 200)


def _by_key(event: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return outcomes by key; equal samples get numbers."""
    found: dict[str, Mapping[str, Any]] = {}
    seen: Counter[str] = Counter()
    for item in mappings(event.get("samples")):
        key = text(item.get("key"), 200)
        seen[key] += 1
        found[f"{key}/{seen[key]}"] = item
    return found


def _texts(looks: list[At]) -> dict[str, tuple[str, str]]:
    """Return inputs and targets by key; looks after the first may leave them out."""
    known: dict[str, tuple[str, str]] = {}
    for at in looks:
        for key, item in _by_key(at.event).items():
            old = known.get(key, ("", ""))
            known[key] = (
                old[0] or text(item.get("input"), _TEXT),
                old[1] or text(item.get("target"), _TEXT),
            )
    return known


def _sample(
    at: int,
    texts: tuple[str, str],
    was: Mapping[str, Any] | None,
    now: Mapping[str, Any],
    *,
    up: bool,
) -> Sample:
    old = None if was is None else number(was.get("score"))
    new = number(now.get("score"))
    return Sample(
        number=at,
        kind=_kind(old, new, now.get("success"), up=up),
        input=texts[0],
        target=texts[1],
        before="" if was is None else text(was.get("output"), _TEXT),
        after=text(now.get("output"), _TEXT),
        score_before=old,
        score_after=new,
    )


def _kind(old: float | None, new: float | None, success: Any, *, up: bool) -> str:
    if old is not None and new is not None and old != new:
        return "better" if (new > old) == up else "worse"
    if isinstance(success, bool):
        return "right" if success else "wrong"
    return "same"


def _from_scores(summary: Summary) -> Samples | None:
    if summary.difference is None:
        return None
    first, last = summary.looks[0], summary.looks[-1]
    binary = set(first.scores) | set(last.scores) <= {0.0, 1.0}
    up = summary.higher_is_better
    rows = []
    for at, (old, new) in enumerate(zip(first.scores, last.scores, strict=True), 1):
        success = (new == 1) == up if binary else None
        kind = _kind(old, new, success, up=up)
        rows.append(Sample(at, kind, "", "", "", "", old, new))
    return _samples("test", rows, len(rows), is_pair=True, has_texts=False)


def _samples(
    stage: str, rows: list[Sample], total: int, *, is_pair: bool, has_texts: bool
) -> Samples | None:
    if not rows:
        return None
    words = WORDS if is_pair else ONCE
    tally = Counter(row.kind for row in rows)
    rows.sort(key=lambda row: (_ORDER.index(row.kind), row.number))
    return Samples(
        stage="test" if stage == "test" else "validation",
        rows=tuple(rows[:MAX_ROWS]),
        counts=tuple((k, words[k], tally[k]) for k in _ORDER if tally[k]),
        total=total,
        is_pair=is_pair,
        has_texts=has_texts,
    )
