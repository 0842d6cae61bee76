"""A Summary read back from a run's events: the one that a Trainer prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from afnio.tracking.report._parameters import ParameterNames
from afnio.tracking.report._timeline import At, Timeline, changes_of, metrics_of
from afnio.tracking.report._values import (
    amounts,
    count,
    mapping,
    mappings,
    number,
    numbers,
    pair,
    text,
)
from afnio.tracking.summary import (
    DecisionLine,
    ExampleChange,
    ParameterChange,
    RoleUsage,
    Summary,
    TestLook,
    best_mean,
    examples_from,
    look_from,
)

_COUNTS = [
    item.name for item in fields(RoleUsage) if item.name not in ("seconds", "cost_usd")
]


def summary_of(found: Timeline, path: str | None = None) -> Summary:
    """Return what a run has brought, changed and cost, as far as its events tell.

    Args:
        found: Its events.
        path: Its directory.
    """
    start = found.fits[-1].event if found.fits else {}
    end = found.ends[-1].event if found.ends else {}
    last = found.usage[-1].event if found.usage else {}
    better = start.get("higher_is_better", True) is not False
    monitor = text(end.get("monitor") or start.get("monitor"), 200)
    best = number(end.get("best_score"))
    if best is None:
        best = _best(found, monitor, better=better)
    monitor = monitor or _guessed_monitor(found)
    return Summary(
        looks=tuple(look_of(at) for at in found.tests),
        parameters=tuple(_parameters(found)),
        decisions=tuple(map(_decision, found.decisions)),
        usage=usage_of(found),
        seconds=amounts(last.get("seconds")),
        epochs=len(found.epochs),
        steps=found.steps[-1].step if found.steps else 0,
        monitor=monitor,
        best_score=best,
        best_mean=best_mean(map(_epoch, found.epochs), monitor, best),
        stop_reason=text(end.get("stop_reason"), 500),
        higher_is_better=better,
        best_path=text(end.get("best_path"), 500) or None,
        last_path=text(end.get("last_path"), 500) or None,
        run_path=path,
        examples=_examples(found, higher_is_better=better),
        warnings=tuple(found.warnings),
    )


def _examples(found: Timeline, *, higher_is_better: bool) -> tuple[ExampleChange, ...]:
    """Return the samples that changed most between two looks at the same ones."""
    looks = [at.event for at in found.outcomes if at.event.get("stage") == "test"]
    known = text(looks[-1].get("sample_set"), 200) if looks else ""
    same = [look for look in looks if known and look.get("sample_set") == known]
    if len(same) < 2:  # noqa: PLR2004 - a pair
        return ()
    return examples_from(
        _scored(same[0]), _scored(same[-1]), higher_is_better=higher_is_better
    )


def _scored(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the outcomes that have a score."""
    return [
        {
            **{name: text(item.get(name)) for name in ("input", "target", "output")},
            "key": text(item.get("key"), 200),
            "score": score,
        }
        for item in mappings(event.get("samples"))
        if (score := number(item.get("score"))) is not None
    ]


def look_of(at: At) -> TestLook:
    """Return the look that a test event tells about."""
    event = at.event
    return look_from(
        {
            "scores": numbers(event.get("scores")),
            "metrics": metrics_of(event),
            "interval": pair(event.get("interval")),
            "samples": count(event.get("samples")),
            "step": count(event.get("step")),
            "sample_set": text(event.get("sample_set"), 200),
        }
    )


def usage_of(found: Timeline) -> dict[str, RoleUsage]:
    """Return the latest totals by role."""
    for at in reversed(found.usage):
        if roles := mapping(at.event.get("roles")):
            return {text(role, 80): _usage(use) for role, use in roles.items()}
    return {}


def _usage(value: Any) -> RoleUsage:
    known = amounts(value)
    whole: dict[str, int] = {name: count(known.get(name)) for name in _COUNTS}
    seconds, cost = known.get("seconds", 0.0), known.get("cost_usd", 0.0)
    return RoleUsage(seconds=seconds, cost_usd=cost, **whole)


def _parameters(found: Timeline) -> list[ParameterChange]:
    """Return the first and the last value of everything that was trained.

    Snapshots tell values at some steps, and accepted decisions what changed between.
    """
    names = ParameterNames(found)
    told = [(at.step, 1, each) for at in found.parameters for each in _snapshot(at)]
    told += [(at.step, 0, each) for at in found.decisions for each in _kept(at, names)]
    values: dict[str, ParameterChange] = {}
    for _, _, each in sorted(told, key=lambda item: item[:2]):
        known = values.get(each.name)
        values[each.name] = each if known is None else replace(known, after=each.after)
    return list(values.values())


def _snapshot(at: At) -> Iterator[ParameterChange]:
    for value in mappings(at.event.get("values")):
        data = value.get("data")
        name, role = text(value.get("name"), 200), text(value.get("role"), 500)
        yield ParameterChange(name=name, role=role, before=data, after=data)


def _kept(at: At, names: ParameterNames) -> Iterator[ParameterChange]:
    if at.event.get("accepted") is not True:
        return
    for change in changes_of(at.event):
        if change.get("after") is not None:
            yield ParameterChange(
                name=names.of(text(at.event.get("optimizer"), 200), change),
                role=text(change.get("role"), 500),
                before=change.get("before"),
                after=change.get("after"),
            )


def _decision(at: At) -> DecisionLine:
    event = at.event
    return DecisionLine(
        optimizer=text(event.get("optimizer"), 200),
        step=at.step,
        candidate=count(event.get("candidate")),
        accepted=event.get("accepted") is True,
        reason=text(event.get("reason"), 1_000),
        roles=tuple(text(each.get("role"), 500) for each in changes_of(event)),
    )


def _guessed_monitor(found: Timeline) -> str:
    """Return the metric that a Trainer would watch."""
    for name in ("val_loss", "train_loss"):
        if any(name in metrics_of(at.event) for at in found.epochs):
            return name
    return ""


def _epoch(at: At) -> Mapping[str, Any]:
    mean = number(at.event.get("mean_score"))
    return {"metrics": metrics_of(at.event), "mean_score": mean}


def _best(found: Timeline, monitor: str, *, better: bool) -> float | None:
    name = monitor or _guessed_monitor(found)
    values = [metrics_of(at.event).get(name) for at in found.epochs]
    known = [value for value in values if value is not None]
    return (max if better else min)(known, default=None)
