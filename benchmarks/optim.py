"""How optimizers spend their calls: ``python -m benchmarks.optim``.

Every optimizer gets the same simulated worlds, seeds and number of model calls, all
roles together; what it returns is measured exactly, without sampling. Options::

    --preset 'easy;null'   which worlds; default all
    --optimizer PatchTGD   which optimizers, with ; between them; default all
    --seeds 30             how many paired seeds
    --budget 1500          calls of all roles per run
    --peers DIRECTORY      also run textgrad, dspy and gepa from the virtual
                           environments of these names in there
    --set recall=0.4       vary the physics
    --json FILE            also write every run and figure
    --show FILES           make no runs, but tables of those that --json wrote
    --sealed               other seeds and worlds, which nothing was tuned on
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from benchmarks import _optim_peers
from benchmarks._optim_rows import DEFAULT, OPTIMIZERS
from benchmarks._optim_table import load, save, show
from benchmarks._optim_task import Plan, Run, run
from benchmarks.simworld import PRESETS, Physics, held_out

SEALED: Final = 1_000_000
"""The first of the sealed seeds; development uses those from 0."""


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; leaves with a message if it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.optim",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", default="all")
    parser.add_argument("--optimizer", default="all")
    parser.add_argument("--seeds", type=_positive, default=30)
    parser.add_argument("--budget", type=_positive, default=1500)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--show", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--jobs", type=_positive, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--sealed", action="store_true")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def plans(options: argparse.Namespace) -> list[Plan]:
    """Return every run that the options ask for, world by world, seed by seed."""
    worlds = dict(PRESETS) | (held_out() if options.sealed else {})
    known = [*OPTIMIZERS, *_peers(options.peers)]
    physics = {
        name: _varied(worlds[name], options.set)
        for name in _chosen("preset", options.preset, list(worlds))
    }
    names = _chosen("optimizer", options.optimizer, known)
    first = SEALED if options.sealed else 0
    return [
        Plan(preset, physics[preset], name, seed, options.budget)
        for preset in physics
        for seed in range(first, first + options.seeds)
        for name in names
    ]


def _peers(environments: Path | None) -> list[str]:
    """Return the peers that are asked for; leaves if one is not installed."""
    if environments is None:
        return []
    for name in dict.fromkeys(_optim_peers.PEERS.values()):
        if not (python := _optim_peers.python_of(name, environments)).exists():
            sys.exit(f"{python} is missing; make the environment and install {name}.")
    return list(_optim_peers.PEERS)


def _chosen(what: str, text: str, known: list[str]) -> list[str]:
    if text == "all":
        return known
    names = [name.strip() for name in text.split(";")]
    for name in names:
        if name not in known:
            sys.exit(f"no {what} {name!r}; there are: {', '.join(known)}")
    return names


def _varied(physics: Physics, changes: Sequence[str]) -> Physics:
    kinds: dict[str, Any] = {
        f.name: type(getattr(physics, f.name)) for f in fields(physics)
    }
    values: dict[str, Any] = {}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in kinds:
            sys.exit(f"no physics {name!r}; there are: {', '.join(kinds)}")
        values[name] = kinds[name](float(value)) if kinds[name] is not str else value
    return replace(physics, **values)


def one(plan: Plan, peers: Path | None = None) -> Run:
    """Make one run, in whatever process."""
    warnings.simplefilter("ignore")
    if plan.optimizer in OPTIMIZERS:
        return run(plan, OPTIMIZERS[plan.optimizer])
    assert peers is not None
    return run(plan, _optim_peers.driver(plan.optimizer, peers))


def runs_of(options: argparse.Namespace) -> Iterator[Run]:
    """Make all runs, on several processors, in order."""
    wanted = plans(options)
    pool = ProcessPoolExecutor(options.jobs, initializer=_unmoved)
    try:
        peers = [options.peers] * len(wanted)
        for number, found in enumerate(pool.map(one, wanted, peers), 1):
            print(f"\r{number} of {len(wanted)}", end="", file=sys.stderr, flush=True)
            yield found
        print(file=sys.stderr)
    finally:
        pool.shutdown(cancel_futures=True)


def _unmoved() -> None:
    """Leave Ctrl-C to the main process, which then waits for runs under way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(arguments: Sequence[str]) -> None:
    """Run, and show what there is, even if interrupted."""
    options, runs = parsed(arguments), list[Run]()
    if options.show:
        show([run for path in options.show for run in load(path)], DEFAULT)
        return
    try:
        runs.extend(runs_of(options))
    except KeyboardInterrupt:
        print(f"\ninterrupted after {len(runs)} runs", file=sys.stderr)
    show(runs, DEFAULT)
    for remark in sorted(
        {f"{each.plan.optimizer}: {each.note}" for each in runs if each.note}
    ):
        print(remark)
    if options.json:
        save(runs, DEFAULT, options.json)


if __name__ == "__main__":
    main(sys.argv[1:])
