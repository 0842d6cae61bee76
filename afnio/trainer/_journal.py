"""What a run is told besides the records of history; without a run, nothing is done."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from afnio._variable import Variable
from afnio.autodiff.evidence import Evidence
from afnio.cognitive.modules.module import Module
from afnio.tracking.report import graph_event
from afnio.trainer._samples import Outcome, name_of, sample_keys, short
from afnio.trainer._summary import parameter_values

if TYPE_CHECKING:
    from afnio.trainer._loop import FitLoop
    from afnio.trainer._state import TrainerState

MAX_EVIDENCE: Final = 6
"""Samples shown of what a gradient rests on, per step and parameter."""


class Journal:
    """Writes events to the sink of a Trainer, as they come."""

    def __init__(self, trainer: TrainerState) -> None:
        self._trainer = trainer
        self._known: dict[str, Any] = {}
        self._known_sets: set[str] = set()
        self._train_keys: list[str] | None = []
        self._drawn = False

    @property
    def _is_open(self) -> bool:
        return self._trainer.sink.active

    def _write(self, kind: str, **fields: Any) -> None:
        self._trainer.sink.event(kind, fields)

    # -- a fit ------------------------------------------------------------------------

    def fit_start(self, loop: FitLoop, resumed_from: Path | None) -> None:
        """Tell what is about to be trained, and from where on."""
        if not self._is_open:
            return
        trainer, at = self._trainer, loop.at
        fields: dict[str, Any] = {
            "step": at.step,
            "epoch": at.epoch,
            "max_epochs": trainer.max_epochs,
            "batches": trainer.totals.get("train"),
            "monitor": trainer.monitor,
            "higher_is_better": trainer.higher_is_better,
        }
        if resumed_from is not None:
            fields["resumed_from"] = resumed_from.name
        self._write("fit_start", **fields)
        self._train_keys = None if at.step else []
        self._drawn = bool(at.step)
        self._known = {}
        self.parameters(loop.agent, optimizers=_optimizers(loop))

    def fit_end(self) -> None:
        """Tell how far it came."""
        if self._is_open:
            trainer = self._trainer
            root = trainer.run_path
            self._write(
                "fit_end",
                epochs=trainer.current_epoch,
                steps=trainer.global_step,
                monitor=trainer.monitor,
                best_score=trainer.best_score,
                stop_reason=trainer.stop_reason,
                best_path=_relative(trainer.best_path, root),
                last_path=_relative(trainer.last_path, root),
            )

    def parameters(self, agent: Module, **more: Any) -> None:
        """Tell the trainable parameters that have changed since this was last told."""
        if not self._is_open:
            return
        params = dict(agent.named_parameters())
        changed = {
            name: value
            for name, value in parameter_values(agent).items()
            if name not in self._known or self._known[name] != value
        }
        if not changed and not more:
            return
        self._known |= copy.deepcopy(changed)
        values = [
            {"name": name, "role": str(params[name].role or ""), "data": value}
            for name, value in changed.items()
        ]
        self._write("parameters", step=self._trainer.global_step, values=values, **more)
        for name, value in changed.items():
            self._trainer.sink.prompt(name, value)

    def graph(self, root: Variable) -> None:
        """Draw the program behind the first step's explanation, before its backward."""
        if not self._drawn and self._is_open and root.requires_grad:
            self._drawn = True
            self._write("graph", **graph_event(root))

    def evidence(self, agent: Module) -> None:
        """Tell what the gradients rest on, failing samples first."""
        if not self._is_open:
            return
        for name, param in agent.named_parameters():
            found = [each for grad in param.grad for each in grad.evidence]
            if found and param.requires_grad:
                found.sort(key=lambda each: each.success)
                samples = [_shown(each) for each in found[:MAX_EVIDENCE]]
                step = self._trainer.global_step + 1
                self._write("evidence", step=step, parameter=name, samples=samples)

    def saw(self, batch: Any, size: int) -> None:
        """Note the training samples of the first epoch, to name the data by them."""
        if self._train_keys is not None and self._is_open:
            keys = sample_keys(batch, size)
            self._train_keys = None if keys is None else self._train_keys + keys

    def epoch_end(self) -> None:
        """Name the training data, once it was all seen."""
        if self._train_keys:
            self.data("train", name_of(self._train_keys), len(self._train_keys))
        self._train_keys = None

    # -- any stage --------------------------------------------------------------------

    def data(self, part: str, sample_set: str, samples: int) -> None:
        """Name the samples of a part of the data by their contents."""
        if sample_set and self._is_open:
            named = {part: {"sample_set": sample_set, "samples": samples}}
            self._trainer.sink.describe(hashes={"data": named})

    def outcomes(
        self, stage: str, rows: Sequence[Outcome], sample_set: str, total: int
    ) -> None:
        """Tell what became of each sample; inputs and targets of a set only once."""
        if not rows or not self._is_open:
            return
        self.data({"validate": "validation"}.get(stage, stage), sample_set, total)
        known = sample_set in self._known_sets
        self._known_sets.add(sample_set)
        drop = ("input", "target") if known else ()
        samples = [{k: v for k, v in row.items() if k not in drop} for row in rows]
        self._write(
            "outcomes",
            stage=stage,
            step=self._trainer.global_step,
            sample_set=sample_set,
            total=total,
            samples=samples,
        )

    def usage(self, stage: str) -> None:
        """Tell what was used so far."""
        if not self._is_open:
            return
        trainer = self._trainer
        used = trainer.spend.usage()
        self._write(
            "usage",
            step=trainer.global_step,
            stage=stage,
            cost_usd=trainer.total_cost,
            calls=sum(use.calls for use in used.values()),
            roles={role: asdict(use) for role, use in used.items()},
            seconds={k: round(s, 3) for k, s in trainer.seconds.items()},
        )


def _relative(path: Path | None, root: Path | None) -> str | None:
    if path is None:
        return None
    inside = root is not None and path.is_relative_to(root)
    return str(path.relative_to(root)) if inside and root is not None else str(path)


def _optimizers(loop: FitLoop) -> list[dict[str, Any]]:
    """Name every optimizer's parameters, in the order it numbers them."""
    names = {id(param): name for name, param in loop.agent.named_parameters()}
    return [
        {
            "name": type(optimizer).__name__,
            "parameters": [names.get(id(param), "") for param in _params(optimizer)],
        }
        for optimizer in loop.optimizers
    ]


def _params(optimizer: Any) -> Iterable[Any]:
    groups: Iterable[Mapping[str, Any]] = getattr(optimizer, "param_groups", ())
    return [param for group in groups for param in group["params"]]


def _shown(each: Evidence) -> dict[str, Any]:
    inputs = dict(each.inputs)
    only = next(iter(inputs.values())) if len(inputs) == 1 else inputs or ""
    return {
        "input": short(only),
        "output": short(each.output),
        "target": short(each.target),
        "score": each.score if isinstance(each.score, (int, float)) else None,
        "success": each.success,
        "critique": short(each.critique),
    }
