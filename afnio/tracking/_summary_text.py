"""The lines of a Summary: what a person reads after a run. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING, Final, NamedTuple

from afnio._text import shorten
from afnio.tracking._diff import cut_lines

if TYPE_CHECKING:
    from afnio.tracking.summary import (
        DecisionLine,
        ParameterChange,
        RoleUsage,
        Summary,
        TestLook,
    )

MAX_DECISIONS: Final = 4
"""Rejected candidates shown; accepted ones, and their parts, are all shown."""

_STYLES: Final = {"+": "green", "-": "red", "@": "cyan", "[": "dim"}


class Line(NamedTuple):
    """One line of the summary, and how a terminal shows it."""

    text: str
    style: str = ""


def summary_lines(summary: Summary) -> Iterator[Line]:
    """Yield the summary, part by part, leaving out what is empty."""
    parts = [
        list(part)
        for part in (
            _warnings(summary.warnings),
            _test(summary),
            _examples(summary),
            _parameters(summary.parameters),
            _decisions(summary.decisions),
            _usage(summary),
            _files(summary),
        )
    ]
    for number, part in enumerate(part for part in parts if part):
        if number:
            yield Line("")
        yield from part


def _title(text: str) -> Line:
    return Line(text, "bold")


# -- test -----------------------------------------------------------------------------


def _test(summary: Summary) -> Iterator[Line]:
    looks = summary.looks
    if not looks:
        yield Line("The test set was not looked at.", "dim")
        return
    better = "" if summary.higher_is_better else ", lower is better"
    is_mean = all(look.scores for look in looks)
    mean = ": mean per sample" if is_mean else ""
    yield _title(f"Test score{better}{mean} (95 % intervals)")
    for name, look in zip(_look_names(len(looks)), looks, strict=True):
        yield Line(f"  {name:<7} {_score(look)}")
    yield from _difference(summary)
    if len(looks) > 2:  # noqa: PLR2004 - before and after
        yield Line(
            f"  {len(looks)} looks at the test set: choosing between them makes the "
            "last score optimistic.",
            "yellow",
        )


def _look_names(count: int) -> list[str]:
    if count == 1:
        return ["once"]
    return ["before", *(f"look {n}" for n in range(2, count)), "after"]


def _score(look: TestLook) -> str:
    interval = "" if look.interval is None else f" {_interval(look.interval, '.3f')}"
    others = [
        f"{name.removeprefix('test_')} {value:.4g}"
        for name, value in look.metrics.items()
        if name != "test_loss"
    ]
    notes = [_count(look.samples, "sample"), f"after {_count(look.step, 'step')}"]
    return f"{look.score:.3f}{interval}  {', '.join([*notes, *others])}"


def _difference(summary: Summary) -> Iterator[Line]:
    found = summary.difference
    if found is not None:
        low, high = found.interval
        better, worse = found.higher, found.lower
        if not summary.higher_is_better:
            better, worse, low, high = worse, better, -high, -low
        style = "green" if low > 0 else "red" if high < 0 else ""
        equal = found.samples - found.higher - found.lower
        yield Line(
            f"  change  {found.mean:+.3f} {_interval(found.interval, '+.3f')}  paired: "
            f"{better} better, {worse} worse, {equal} equal",
            style,
        )
    elif len(summary.looks) > 1:
        change = summary.looks[-1].score - summary.looks[0].score
        yield Line(
            f"  change  {change:+.3f}  not paired: the looks were not at samples known "
            "to be the same"
        )


def _interval(interval: tuple[float, float], form: str) -> str:
    return f"[{interval[0]:{form}}, {interval[1]:{form}}]"


# -- examples -------------------------------------------------------------------------


def _examples(summary: Summary) -> Iterator[Line]:
    if summary.examples:
        yield _title("Example answers")
    for each in summary.examples:
        rose = each.score_after > each.score_before
        better = rose == summary.higher_is_better
        yield Line(
            f"  {'better' if better else 'worse'}: {_quoted(each.input)} "
            f"(expected {_quoted(each.target)})",
            "green" if better else "red",
        )
        yield Line(f"    before {each.score_before:.4g}  {_quoted(each.before)}")
        yield Line(f"    after  {each.score_after:.4g}  {_quoted(each.after)}")


def _quoted(text: str) -> str:
    """Return text on one line, as a terminal may show it."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return f'"{shorten(shown, 100)}"'


def _warnings(messages: Sequence[str]) -> Iterator[Line]:
    for message in messages:
        yield Line(f"Warning: {message}", "yellow")


# -- parameters -----------------------------------------------------------------------


def _parameters(changes: Sequence[ParameterChange]) -> Iterator[Line]:
    if changes:
        yield _title("Parameters")
    for change in changes:
        yield Line(f"  {change.name} ({shorten(change.role)}): {_what(change)}")
        for text in cut_lines(change.diff):
            yield Line(f"    {text}", _STYLES.get(text[:1], ""))


def _what(change: ParameterChange) -> str:
    if change.before == change.after:
        return "unchanged"
    if change.rows is None:
        return "rewritten"
    added, removed = change.rows
    return f"{_count(added, 'row')} added, {removed} removed"


# -- decisions ------------------------------------------------------------------------


def _decisions(decisions: Sequence[DecisionLine]) -> Iterator[Line]:
    if not decisions:
        return
    count = Counter(map(_verdict, decisions))
    accepted, rejected = count["accepted"], count["rejected"]
    within = len(decisions) - accepted - rejected - count["returned"]
    parts = f", {_count(within, 'part')} of those" if within else ""
    yield _title(f"Decisions: {accepted} accepted{parts}, {rejected} rejected")
    left = MAX_DECISIONS
    for each in decisions:
        is_rejected = _verdict(each) == "rejected"
        if not is_rejected or left > 0:
            left -= is_rejected
            yield _decision(each)
    if rejected > MAX_DECISIONS:
        more = rejected - MAX_DECISIONS
        yield Line(f"  [{more} more rejected ones cut here; to_dict() has them]", "dim")


def _verdict(each: DecisionLine) -> str:
    """Return what became of a candidate."""
    if each.part_of is not None:
        return f"in candidate {each.part_of}"
    if each.is_final:
        return "returned"
    return "accepted" if each.accepted else "rejected"


def _decision(each: DecisionLine) -> Line:
    word = _verdict(each)
    names = ", ".join(shorten(role, 40) for role in each.roles)
    roles = f" ({names})" if names else ""
    text = f"  step {each.step} {each.optimizer} {each.candidate}{roles} {word}"
    if each.part_of is None:
        text += f": {shorten(each.reason, 120)}"
    return Line(text, "green" if each.accepted else "")


# -- usage ----------------------------------------------------------------------------


def _usage(summary: Summary) -> Iterator[Line]:
    rows = [(role, use) for role, use in summary.usage.items() if _is_used(use)]
    if rows:
        yield _title("Model calls")
        everything = [use for _, use in rows]
        total = sum(everything[1:], everything[0])
        timed = total.seconds > 0
        total = replace(total, seconds=0.0)  # roles overlap, so a sum means nothing
        cells = [_cells(role, use, timed=timed) for role, use in rows]
        if len(rows) > 1:
            cells.append(_cells("total", total, timed=timed))
        head = ["role", "calls", "cached", "failed", "tokens in", "tokens out", "cost"]
        yield from _table([head + ["seconds"] * timed, *cells])
    if summary.seconds:
        stages = ", ".join(f"{name} {s:.1f} s" for name, s in summary.seconds.items())
        yield Line(f"Wall-clock time: {stages}")


def _is_used(use: RoleUsage) -> bool:
    return bool(use.calls or use.cached_calls or use.failed_calls or use.cost_usd)


def _cells(role: str, use: RoleUsage, *, timed: bool) -> list[str]:
    numbers = [use.calls, use.cached_calls, use.failed_calls]
    numbers += [use.input_tokens, use.output_tokens]
    cells = [role, *(f"{number:,}" for number in numbers), f"${use.cost_usd:.4f}"]
    return [*cells, f"{use.seconds:.1f}" if use.seconds else ""] if timed else cells


def _table(rows: Sequence[Sequence[str]]) -> Iterator[Line]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, (first, *rest) in enumerate(rows):
        cells = [first.ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
        yield Line("  " + "  ".join(cells), "" if number else "dim")


# -- the end --------------------------------------------------------------------------


def _files(summary: Summary) -> Iterable[Line]:
    if summary.steps:
        epochs, steps = _count(summary.epochs, "epoch"), _count(summary.steps, "step")
        text = f"Fit: {epochs}, {steps}"
        if summary.best_score is not None:
            text += f", best {summary.monitor} {summary.best_score:.4g}"
            text += mean_words(summary.best_score, summary.best_mean)
        yield Line(text)
    if summary.stop_reason:
        yield Line(f"Stopped: {summary.stop_reason}")
    for name, path in (
        ("Best", summary.best_path),
        ("Last", summary.last_path),
        ("Run", summary.run_path),
    ):
        if path is not None:
            yield Line(f"{name + ':':<5} {path}")
    if summary.run_path is not None:
        yield Line(f"More: afnio report {quote(summary.run_path)}")


def mean_words(value: float, mean: float | None) -> str:
    """Say what a metric comes to per sample, where that is known.

    Evaluators add up the scores of a batch unless they are told otherwise.

    Examples:
        >>> mean_words(3.6, 0.9), mean_words(0.9, 0.9), mean_words(3.6, None)
        (' (mean 0.9 per sample)', ' (mean per sample)', '')
    """
    if mean is None:
        return ""
    same = math.isclose(value, mean, abs_tol=1e-9)
    return " (mean per sample)" if same else f" (mean {mean:.4g} per sample)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
