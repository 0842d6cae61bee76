"""Evaluations and comparisons in words, for terminals. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from afnio._terminal import printable
from afnio._text import shorten
from afnio.evaluation._compare import Comparison
from afnio.evaluation._result import Evaluation, SampleResult

MAX_ERRORS: Final = 5
"""Different errors shown."""

_CELL: Final = 100
_ERROR: Final = 400
"""Characters of an error's line."""


def brief(value: Any, limit: int = _CELL) -> str:
    """Return a value as short text on one line, safe to print."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    if isinstance(value, dict):
        value = ", ".join(
            f"{name}: {shorten(item, 40)}" for name, item in value.items()
        )
    return printable(shorten(value, limit))


def evaluation_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield score, errors and cost."""
    yield f"{printable(evaluation.name)}: {score_text(evaluation)}"
    counts = evaluation.error_counts()
    if counts:
        yield f"  {_count(len(evaluation.errors), 'sample')} without a score:"
    for message, count in counts[:MAX_ERRORS]:
        first = next(e for e in evaluation.errors if _starts(e, message))
        shown = printable(shorten(message, _ERROR))
        yield f"    {count} x {shown} (sample {first.index})"
        for line in (first.error or "").splitlines()[1:]:
            yield f"        {printable(shorten(line, _ERROR))}"
    if len(counts) > MAX_ERRORS:
        yield f"    and {len(counts) - MAX_ERRORS} other errors"
    if used := _usage(evaluation):
        yield f"  {used}, {evaluation.seconds:.1f} s"


def _usage(evaluation: Evaluation) -> str:
    total = evaluation.total
    parts = [
        f"{number:,} {words}"
        for number, words in (
            (total.calls, "call" if total.calls == 1 else "calls"),
            (total.cached_calls, "from a cache"),
            (total.failed_calls, "failed"),
        )
        if number
    ]
    if total.calls:
        tokens = total.input_tokens + total.output_tokens
        parts.append(f"{tokens:,} tokens, ${total.cost_usd:.4f}")
    return ", ".join(parts)


def _starts(sample: SampleResult, message: str) -> bool:
    return (sample.error or "").partition("\n")[0] == message


def score_text(evaluation: Evaluation) -> str:
    """Return the mean score, its interval, and the number of samples."""
    number = _count(len(evaluation.scores), "sample")
    if evaluation.mean is None:
        return "no score"
    if evaluation.interval is None:
        return f"score {evaluation.mean:.3f}, {number}"
    low, high = evaluation.interval
    return f"score {evaluation.mean:.3f} [{low:.3f}, {high:.3f}], {number}"


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Yield the difference, and what it is made of."""
    low, high = comparison.interval
    names = printable(f"{comparison.before} -> {comparison.after}")
    yield f"{names}: {comparison.mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    yield (
        f"  {_count(len(comparison.pairs), 'paired sample')}: {comparison.better} "
        f"better, {comparison.worse} worse, {comparison.equal} equal; sign test "
        f"p = {comparison.p_value:.3g}"
    )
    left = {"before": comparison.unpaired_before, "after": comparison.unpaired_after}
    if any(left.values()):
        parts = (f"{number} only {when}" for when, number in left.items() if number)
        yield f"  not compared: {', '.join(parts)}"


def changed_lines(comparison: Comparison, limit: int) -> Iterator[str]:
    """Yield the samples that changed most, the greatest losses first."""
    changed = comparison.changed()
    for before, after in changed[:limit]:
        yield (
            f"  sample {after.index}: {before.score:.3g} -> {after.score:.3g}  "
            f"{brief(after.inputs)}"
        )
        yield f"    before {brief(before.output)}"
        yield f"    after  {brief(after.output)}"
        if after.target is not None:
            yield f"    target {brief(after.target)}"
    if len(changed) > limit:
        yield f"  and {len(changed) - limit} more"


def lowest_lines(evaluation: Evaluation, limit: int) -> Iterator[str]:
    """Yield the samples with the lowest scores, below 1 and below the highest."""
    scored = [each for each in evaluation.samples if each.score is not None]
    best = max(1, *(each.score or 0 for each in scored)) if scored else 1
    low = sorted(
        (each for each in scored if (each.score or 0) < best),
        key=lambda each: each.score or 0,
    )
    for each in low[:limit]:
        yield f"  sample {each.index}: {each.score:.3g}  {brief(each.inputs)}"
        yield f"    output {brief(each.output)}"
        if each.target is not None:
            yield f"    target {brief(each.target)}"
    if len(low) > limit:
        yield f"  and {len(low) - limit} more below {best:.3g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
