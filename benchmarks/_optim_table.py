"""Tables of a comparison: per preset, with intervals; then over all presets."""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks import _optim_stats as stats
from benchmarks._optim_stats import Arrival
from benchmarks._optim_task import Plan, Run
from benchmarks.simworld import Physics

TARGETS: Final = (0.5, 0.8, 0.9)
"""Shares of the way from the seed prompt to the best one."""
FALSE_GAINS: Final = 0.05
"""Share of runs that may take noise for a gain."""
_SLACK: Final = 1e-9

ByOptimizer: TypeAlias = Mapping[str, Sequence[Run]]

COLUMNS: Final = (
    "optimizer",
    "accuracy / oracle [95 % CI]",
    "worst tenth",
    "calls to 50 %",
    "80 %",
    "90 %",
    "ERT 80 %",
    "below seed",
    "calls forward + critic + rewriter",
    "difference to {default} [95 % CI], p",
)


def arrival(run: Run, target: float, *, kept: bool = True) -> Arrival:
    """Return when the returned prompt came so far.

    Args:
        run: A run.
        target: Share of the way from the seed prompt to the best one.
        kept: Whether it also has to stay there until the end.
    """
    goal = run.seed_accuracy + target * (run.oracle - run.seed_accuracy) - _SLACK
    reached: int | None = None
    for calls, accuracy in run.curve:
        if accuracy >= goal:
            reached = calls if reached is None else reached
        elif kept:
            reached = None
    if reached is None or reached > run.plan.budget:
        return Arrival(run.plan.budget, reached=False)
    return Arrival(reached, reached=True)


def relative(run: Run) -> float:
    """Return the accuracy at the end, as a share of the best possible."""
    return run.final / run.oracle


def below_seed(run: Run) -> bool:
    """Whether the run returned something worse than it was given."""
    return run.final < run.seed_accuracy - _SLACK


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the figures of one optimizer in one preset."""
    values = [relative(run) for run in runs]
    arrivals = {t: [arrival(run, t) for run in runs] for t in TARGETS}
    first = [arrival(run, 0.8, kept=False) for run in runs]
    roles = {role for run in runs for role in run.calls}
    return {
        "runs": len(runs),
        "mean": stats.mean(values),
        "interval": stats.bootstrap(values),
        "worst_tenth": stats.decile(values),
        "calls_to": {t: stats.km_median(arrivals[t]) for t in TARGETS},
        "first_calls_to_80": stats.km_median(first),
        "ert_80": stats.expected_running_time(arrivals[0.8]),
        "reached_80": stats.mean([float(a.reached) for a in arrivals[0.8]]),
        "below_seed": stats.mean([float(below_seed(run)) for run in runs]),
        "changed": stats.mean([float(run.changed) for run in runs]),
        "calls": {
            role: stats.mean([float(run.calls.get(role, 0)) for run in runs])
            for role in sorted(roles)
        },
    }


def compare(runs: ByOptimizer, default: str) -> dict[str, dict[str, Any]]:
    """Compare every optimizer with the default one, on the same seeds."""
    ours = {run.plan.seed: relative(run) for run in runs.get(default, ())}
    found: dict[str, dict[str, Any]] = {}
    for name, theirs in runs.items():
        pairs = [
            (ours[r.plan.seed], relative(r)) for r in theirs if r.plan.seed in ours
        ]
        if name == default or not pairs:
            continue
        a, b = zip(*pairs, strict=True)
        differences = [y - x for x, y in pairs]
        found[name] = {
            "difference": stats.mean(differences),
            "interval": stats.bootstrap(differences),
            "improvement": stats.improvement(a, b),
            "p": stats.sign_test(a, b),
        }
    adjusted = stats.holm({name: row["p"] for name, row in found.items()})
    for name, row in found.items():
        row["p_holm"] = adjusted[name]
    return found


def table(preset: str, runs: ByOptimizer, default: str) -> Table:
    """Return the table of one preset."""
    any_run = next(iter(runs.values()))[0]
    most = max(len(some) for some in runs.values())
    made = Table(
        title=f"{preset}: {most} seeds, {any_run.plan.budget} calls", title_style="bold"
    )
    if preset == "null":
        chance = stats.false_gain_rate(FALSE_GAINS, most)
        made.caption = f"below seed: up to {chance:.0%} of the runs would be by chance"
    for column in COLUMNS:
        made.add_column(escape(column.replace("{default}", default)))
    compared = compare(runs, default)
    for name, some in runs.items():
        made.add_row(*map(escape, _cells(name, summary(some), compared.get(name))))
    return made


def _cells(
    name: str, figures: Mapping[str, Any], against: Mapping[str, Any] | None
) -> list[str]:
    low, high = figures["interval"]
    calls = figures["calls"]
    cells = [
        name,
        f"{figures['mean']:.3f} [{low:.3f}, {high:.3f}]",
        f"{figures['worst_tenth']:.2f}",
        *(_count(figures["calls_to"][target]) for target in TARGETS),
        _count(figures["ert_80"]),
        f"{figures['below_seed']:.0%}",
        " + ".join(f"{calls.get(r, 0):.0f}" for r in ("forward", "critic", "rewriter")),
    ]
    if against is None:
        return [*cells, ""]
    low, high = against["interval"]
    difference = f"{against['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
    return [
        *cells,
        f"{difference}, p = {against['p_holm']:.2g}",
    ]


def _count(value: float) -> str:
    return "-" if math.isinf(value) else f"{value:.0f}"


def overall(presets: Mapping[str, ByOptimizer], default: str) -> Table:
    """Return what holds over all presets but null: never instead of the tables."""
    made = Table(title="all presets but null, one stratum each", title_style="bold")
    for column in (
        "optimizer",
        "IQM of accuracy / oracle [95 % CI]",
        f"P({default} is better)",
        "runs that reach 80 %",
        "below seed",
    ):
        made.add_column(escape(column))
    names = dict.fromkeys(name for runs in presets.values() for name in runs)
    for name in names:
        strata = [
            runs[name]
            for preset, runs in presets.items()
            if preset != "null" and name in runs
        ]
        if strata:
            made.add_row(*_overall_cells(name, strata, presets, default))
    return made


def _overall_cells(
    name: str,
    strata: Sequence[Sequence[Run]],
    presets: Mapping[str, ByOptimizer],
    default: str,
) -> list[str]:
    values = [[relative(run) for run in runs] for runs in strata]
    flat = [value for some in values for value in some]
    low, high = stats.stratified_bootstrap(values)
    better = [
        found["improvement"]
        for preset, runs in presets.items()
        if preset != "null" and (found := compare(runs, default).get(name))
    ]
    runs = [run for some in strata for run in some]
    reached = stats.mean([float(arrival(run, 0.8).reached) for run in runs])
    below = stats.mean([float(below_seed(run)) for run in runs])
    return [
        escape(name),
        escape(f"{stats.iqm(flat):.3f} [{low:.3f}, {high:.3f}]"),
        f"{stats.mean(better):.2f}" if better else "",
        f"{reached:.0%}",
        f"{below:.0%}",
    ]


def grouped(runs: Sequence[Run]) -> dict[str, dict[str, list[Run]]]:
    """Group runs by preset and optimizer, in the order in which they came."""
    found: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        found[run.plan.preset][run.plan.optimizer].append(run)
    return found


def overview(presets: Mapping[str, ByOptimizer]) -> Table:
    """Return what each optimizer came to in each preset, and how soon."""
    names = dict.fromkeys(name for runs in presets.values() for name in runs)
    made = Table(
        title="accuracy / oracle, and median calls to keep 80 %", title_style="bold"
    )
    for column in ("", *names):
        made.add_column(escape(column))
    for preset, runs in presets.items():
        cells = [_brief(runs[name]) if name in runs else "" for name in names]
        made.add_row(escape(preset), *cells)
    return made


def _brief(runs: Sequence[Run]) -> str:
    figures = summary(runs)
    return f"{figures['mean']:.2f}, {_count(figures['calls_to'][0.8])}"


def show(runs: Sequence[Run], default: str) -> None:
    """Print all tables."""
    console = Console(file=sys.stdout, width=200)
    presets = grouped(runs)
    for preset, some in presets.items():
        console.print(table(preset, some, default))
    if len(presets) > 1:
        console.print(overall(presets, default))
        console.print(overview(presets))


def save(runs: Sequence[Run], default: str, path: Path) -> None:
    """Write every run and every figure as JSON."""
    presets = grouped(runs)
    content = {
        "runs": [asdict(run) for run in runs],
        "summary": {
            preset: {name: summary(some) for name, some in by_name.items()}
            for preset, by_name in presets.items()
        },
        "compared": {
            preset: compare(by_name, default) for preset, by_name in presets.items()
        },
    }
    path.write_text(json.dumps(content, indent=1, default=str), "utf-8")


def load(path: Path) -> list[Run]:
    """Read the runs that `save` wrote."""
    content = json.loads(path.read_text("utf-8"))
    return [_restored(saved) for saved in content["runs"]]


def _restored(saved: dict[str, Any]) -> Run:
    plan = saved["plan"]
    return Run(
        **saved
        | {
            "plan": Plan(**plan | {"physics": Physics(**plan["physics"])}),
            "curve": tuple((calls, accuracy) for calls, accuracy in saved["curve"]),
            "prompts": tuple(saved["prompts"]),
        }
    )
