"""The curves of a run: scores with intervals, cost, and what else was logged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean, stdev
from typing import Final

from afnio.optim._statistics import wilson
from afnio.tracking.report._chart import Chart, Mark, Series, Value, binned, chart
from afnio.tracking.report._timeline import (
    At,
    Timeline,
    fate_of,
    is_final,
    metrics_of,
)
from afnio.tracking.report._values import number, numbers, pair, text
from afnio.tracking.report._words import interval, score
from afnio.tracking.summary import Summary

MAX_OTHERS: Final = 12
"""Charts of other metrics."""

_MAX_MARKS: Final = 200
_FEW: Final = 3
"""Points that make a curve."""
_COST: Final = "total_cost($)"
_Z: Final = 1.959963984540054


def score_chart(found: Timeline, summary: Summary) -> Chart | None:
    """Return training, validation and test scores over the training steps."""
    if found.steps and found.steps[-1].step < _FEW and candidate_chart(found):
        return None
    base = _base(summary.monitor)
    alike = _are_means(summary)
    series = [
        Series("training", "train", _training(found, base, as_mean=not alike)),
        Series("validation", "val", _validation(found, base, alike=alike), "step"),
        Series("test", "test", _tests(found, summary), "points"),
    ]
    title = "Score over training steps"
    return chart(title, series, marks=_marks(found), floor=_floor(series))


def candidate_chart(found: Timeline) -> Chart | None:
    """Return the scores of all candidates, where steps compare several at once."""
    proposals = [at for at in found.decisions if not is_final(at.event)]
    several = len(proposals) > len({at.step for at in proposals})
    kept: list[Value] = []
    left: list[Value] = []
    checked: list[Value] = []
    for at_number, at in enumerate(proposals, 1):
        scores = numbers(at.event.get("candidate_scores"))
        if scores:
            accepted = at.event.get("accepted") is True
            others = checked if _is_checked(at) else left
            value = _candidate(at_number, at, scores)
            (kept if accepted else others).append(value)
    if not several or len(kept) + len(left) + len(checked) < _FEW:
        return None
    series = [
        Series("turned down on training samples", "test", checked, "points"),
        Series("turned down", "train", left, "points"),
        Series("kept", "val", kept, "points"),
    ]
    title = "Scores of all candidates"
    return chart(title, series, x_name="candidate", floor=_floor(series))


def _is_checked(at: At) -> bool:
    """Whether a candidate was turned down before validation, and scored there only."""
    return text(at.event.get("reason"), 40).startswith("training samples:")


def _floor(series: Sequence[Series]) -> float | None:
    """Return 0 for scores from 0 to 1, which are read as shares."""
    values = [value.y for each in series for value in each.values]
    is_share = bool(values) and min(values) >= 0 and max(values) <= 1
    return 0.0 if is_share else None


def _candidate(number_: int, at: At, scores: Sequence[float]) -> Value:
    mean, ends = fmean(scores), mean_interval(scores)
    label = f"{number_}, step {at.step}: {score(mean)} on {len(scores)} samples"
    return Value(float(number_), mean, ends, label)


def raw_chart(found: Timeline, summary: Summary) -> Chart | None:
    """Return what the steps returned, where that is no mean per sample.

    Evaluators that add scores up give numbers that do not compare with a mean.
    """
    if _are_means(summary):
        return None
    base = _base(summary.monitor)
    series = [
        Series("training", "train", _training(found, base)),
        Series("validation", "val", _epochs(found, base), "step"),
    ]
    return chart(f"{base}, as the steps returned it", series)


def _are_means(summary: Summary) -> bool:
    """Whether metrics and per-sample scores are on one scale, as far as is known."""
    return all(
        math.isclose(look.metrics.get("test_loss", look.score), look.score)
        for look in summary.looks
        if math.isfinite(look.score)
    )


def _base(monitor: str) -> str:
    for prefix in ("val_", "train_", "test_"):
        if monitor.startswith(prefix):
            return monitor.removeprefix(prefix)
    return "loss"


def _training(found: Timeline, base: str, *, as_mean: bool = False) -> list[Value]:
    points = [
        (float(at.step), value)
        for at in found.steps
        if (value := _of(at, f"train_{base}", as_mean=as_mean)) is not None
    ]
    return binned(points)


def _of(at: At, name: str, *, as_mean: bool) -> float | None:
    """Return a metric, or the mean score of a sample in its place."""
    value = metrics_of(at.event).get(name)
    if not as_mean or value is None:
        return value
    return number(at.event.get("mean_score")) if name.endswith("_loss") else None


def _validation(found: Timeline, base: str, *, alike: bool) -> list[Value]:
    """Return validation scores: from the epochs, and from what gates have compared."""
    values: dict[float, Value] = {}
    if base == "loss":
        values.update((value.x, value) for value in _gated(found))
    for value in _epochs(found, base, as_mean=not alike):
        known = values.get(value.x)
        if known is None or not math.isclose(known.y, value.y):
            values[value.x] = value
    ordered = [values[x] for x in sorted(values)]
    end = float(found.steps[-1].step) if found.steps else 0.0
    if ordered and ordered[-1].x < end:
        last = ordered[-1]
        ordered.append(Value(end, last.y, last.interval, last.label))
    return ordered


def validation_ends(found: Timeline, summary: Summary) -> tuple[float, float] | None:
    """Return the first and the last validation score, None if there are no two."""
    base = _base(summary.monitor)
    values = _validation(found, base, alike=_are_means(summary))
    return (values[0].y, values[-1].y) if len(values) > 1 else None


def _epochs(found: Timeline, base: str, *, as_mean: bool = False) -> list[Value]:
    return [
        _value(at.step, y, pair(at.event.get("interval")))
        for at in found.epochs
        if (y := _of(at, f"val_{base}", as_mean=as_mean)) is not None
    ]


def _gated(found: Timeline) -> Iterator[Value]:
    """Yield the scores of what was kept, where all validation samples were used."""
    sizes = [len(numbers(at.event.get("candidate_scores"))) for at in found.decisions]
    everything = max(sizes, default=0)
    is_first = True
    for at in found.decisions:
        before = numbers(at.event.get("parent_scores"))
        after = numbers(at.event.get("candidate_scores"))
        if everything and is_first and len(before) == everything:
            at_start = (
                0 if is_final(at.event) else at.step - 1
            )  # compared with the start
            yield _value(at_start, fmean(before), mean_interval(before))
            is_first = False
        accepted = at.event.get("accepted") is True
        if everything and accepted and len(after) == everything:
            yield _value(at.step, fmean(after), mean_interval(after))


def _tests(found: Timeline, summary: Summary) -> list[Value]:
    return [
        _value(at.step, look.score, look.interval)
        for at, look in zip(found.tests, summary.looks, strict=True)
        if math.isfinite(look.score)
    ]


def _value(step: int, y: float, ends: tuple[float, float] | None) -> Value:
    tail = f", interval {interval(ends)}" if ends else ""
    return Value(float(step), y, ends, f"step {step}: {score(y)}{tail}")


def mean_interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """Return a 95 % confidence interval of the mean, None for fewer than two scores."""
    n = len(scores)
    if n < 2:  # noqa: PLR2004 - one score has no spread
        return None
    if set(scores) <= {0.0, 1.0}:
        return wilson(sum(scores), n)
    mean, reach = fmean(scores), _Z * stdev(scores) / math.sqrt(n)
    return mean - reach, mean + reach


def _marks(found: Timeline) -> list[Mark]:
    """Return one mark for each step that took decisions."""
    marks = []
    for step, group in groupby(found.decisions, key=lambda at: at.step):
        fates = Counter(fate_of(at.event) for at in group)
        if not (fates.keys() - {"final"}):
            continue
        style = "accepted" if fates["accepted"] else "rejected"
        parts = f", {fates['part']} as parts" if fates["part"] else ""
        label = f"step {step}: {fates['accepted']} accepted{parts}"
        label += f", {fates['rejected']} rejected"
        marks.append(Mark(float(step), style, label))
    if len(marks) > _MAX_MARKS:
        accepted = [mark for mark in marks if mark.style == "accepted"]
        marks = (accepted or marks)[-_MAX_MARKS:]
    return marks


def cost_chart(found: Timeline) -> Chart | None:
    """Return what had been spent after each step: dollars, or calls if all are free."""
    cost = [
        *_totals(found.usage, "cost_usd"),
        *(() if found.usage else _epoch_cost(found)),
    ]
    if len(found.steps) < _FEW - 1:
        return None
    if any(value.y for value in cost):
        line = Series("cost", "cost", cost)
        return chart("Cost in US dollars, so far", [line], floor=0.0, form=".4g")
    calls = Series("calls", "cost", _totals(found.usage, "calls"))
    return chart("Model calls, so far", [calls], floor=0.0, form=",.0f")


def _totals(usage: Sequence[At], key: str) -> list[Value]:
    """Return the total after each step; where a run was resumed, it never falls."""
    totals: dict[int, float] = {}
    highest = 0.0
    for at in usage:
        if (amount := number(at.event.get(key))) is not None:
            totals[at.step] = highest = max(highest, amount)
    return [
        Value(float(step), y, None, f"step {step}: {y:,.4g}")
        for step, y in totals.items()
    ]


def _epoch_cost(found: Timeline) -> list[Value]:
    known = ((at.step, metrics_of(at.event).get(_COST)) for at in found.epochs)
    return [Value(float(step), y, None, "") for step, y in known if y is not None]


def other_charts(found: Timeline, summary: Summary) -> list[Chart]:
    """Return small charts of all metrics that the large ones do not show."""
    base = _base(summary.monitor)
    drawn = {f"{prefix}_{base}" for prefix in ("train", "val", "test")} | {_COST}
    if not (found.steps or found.epochs or found.tests):
        drawn = set()
    names = [name for name in found.metrics if name not in drawn]
    charts = []
    for name in names[:MAX_OTHERS]:
        values = [Value(x, y, None, f"{x:g}: {y:.4g}") for x, y in found.metrics[name]]
        values.sort(key=lambda value: value.x)
        line = Series(name, "other", values)
        charts.append(chart(name, [line], x_name="step", form=".4g"))
    return [each for each in charts if each is not None]
