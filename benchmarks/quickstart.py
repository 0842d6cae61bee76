"""Does the quickstart's gain hold? ``python -m benchmarks.quickstart``.

The program of ``examples/quickstart.py`` on the embedded model, tuned with several
seeds. Beside it stand the controls: the program as it was, and with examples that
nobody has chosen. All are asked the same test messages. A seed takes some minutes::

    --seeds 5     how many
    --json FILE   also write every score, after each seed
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from afnio.evaluation import Evaluation, evaluate
from afnio.models import get_model
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
SHOWN: Final = 4
"""Worked examples, chosen or not; as many as the quickstart looks for."""


def main(arguments: list[str]) -> None:
    """Run and print one line per seed, then all seeds together."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quickstart")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(EXAMPLES))
    import quickstart

    model, task = get_model("local/default"), quickstart.TASKS["contacts"]
    found: dict[str, list[Evaluation]] = {"unselected": [], "tuned": []}
    start = _asked(_program(quickstart, task, model, 0), task)
    print(f"as it was: {_said(start)}", flush=True)
    for seed in range(options.seeds):
        program = _program(quickstart, task, model, seed)
        rows = random.Random(seed).sample(task.load("train"), SHOWN)
        program.examples.data = [list(row) for row in rows]
        found["unselected"].append(_asked(program, task))
        found["tuned"].append(_asked(_tuned(quickstart, task, model, seed), task))
        for name, results in found.items():
            print(f"seed {seed}, {name}: {_said(results[-1], start)}", flush=True)
        if options.json:
            _save(options.json, start, found)
    for name, results in found.items():
        means = [result.mean or 0.0 for result in results]
        print(
            f"{name}: {sum(means) / len(means):.3f} on average of {len(means)} seeds, "
            f"from {min(means):.2f} to {max(means):.2f}"
        )


def _program(quickstart: Any, task: Any, model: Any, seed: int) -> Any:
    options = argparse.Namespace(seed=seed, tune="examples", epochs=1)
    return quickstart.Program(task, model, options)


def _tuned(quickstart: Any, task: Any, model: Any, seed: int) -> Any:
    """Return a program after the quickstart's training."""
    program = _program(quickstart, task, model, seed)
    train, val = (
        DataLoader(task.load(part)[: task.sizes[part]], batch_size=size)
        for part, size in (("train", 40), ("val", 12))
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(max_epochs=1, default_root_dir=folder)
        trainer.fit(program, train, val, llm_clients=[model])
    return program


def _asked(program: Any, task: Any) -> Evaluation:
    """Return the scores of a program on the test messages."""
    import quickstart

    return evaluate(program, task.load("test")[: task.sizes["test"]], quickstart.same)


def _said(result: Evaluation, start: Evaluation | None = None) -> str:
    low, high = result.interval or (0.0, 1.0)
    text = f"{result.mean:.3f} [{low:.3f}, {high:.3f}]"
    return text if start is None else f"{text}; {result.compare(start)}"


def _save(path: Path, start: Evaluation, found: dict[str, list[Evaluation]]) -> None:
    scores = {name: [one.scores for one in results] for name, results in found.items()}
    path.write_text(json.dumps({"as it was": start.scores} | scores), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
