"""Collects what a Trainer knows into a Summary."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from afnio.tracking import Summary, get_active_run
from afnio.tracking.summary import (
    DecisionLine,
    ExampleChange,
    ParameterChange,
    best_mean,
    examples_from,
    look_from,
)

if TYPE_CHECKING:
    from pathlib import Path

    from afnio.cognitive.modules.module import Module
    from afnio.trainer._state import TrainerState


def parameter_values(agent: Module) -> dict[str, Any]:
    """Return a copy of the data of every trainable parameter, by name."""
    return {
        name: copy.deepcopy(param.data)
        for name, param in agent.named_parameters()
        if param.requires_grad
    }


def summarize(trainer: TrainerState) -> Summary:
    """Return what the Trainer has done so far."""
    run = get_active_run()
    kept = trainer.run_path if run is None else run.path
    return Summary(
        looks=tuple(look_from(record.to_dict()) for record in trainer.tests),
        examples=_examples(trainer),
        parameters=_parameters(trainer),
        decisions=tuple(map(_decision, trainer.decisions)),
        usage=trainer.spend.usage(),
        seconds=dict(trainer.seconds),
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        monitor=trainer.monitor,
        best_score=trainer.best_score,
        best_mean=best_mean(
            (record.to_dict() for record in trainer.history if record.kind == "epoch"),
            trainer.monitor,
            trainer.best_score,
        ),
        stop_reason=trainer.stop_reason,
        higher_is_better=trainer.higher_is_better,
        best_path=_text(trainer.best_path),
        last_path=_text(trainer.last_path),
        run_path=_text(kept),
        warnings=tuple(trainer.warnings),
    )


def _examples(trainer: TrainerState) -> tuple[ExampleChange, ...]:
    if len(trainer.look_outcomes) < 2:  # noqa: PLR2004 - before and after
        return ()
    first, last = trainer.look_outcomes
    return examples_from(first, last, higher_is_better=trainer.higher_is_better)


def _parameters(trainer: TrainerState) -> tuple[ParameterChange, ...]:
    agent, before = trainer.agent, trainer.initial_values
    if agent is None:
        return ()
    params = dict(agent.named_parameters())
    return tuple(
        ParameterChange(
            name=name,
            role=str(params[name].role or ""),
            before=value,
            after=copy.deepcopy(params[name].data),
        )
        for name, value in before.items()
        if name in params
    )


def _decision(record: Any) -> DecisionLine:
    return DecisionLine(
        optimizer=record.optimizer,
        step=record.step,
        candidate=record.candidate,
        accepted=record.accepted,
        reason=record.reason,
        roles=tuple(change.role for change in record.changes),
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
