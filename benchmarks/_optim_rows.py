"""Which optimizers are compared, one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from afnio import optim
from afnio.optim import gates
from benchmarks._optim_race import race_loop
from benchmarks._optim_task import Task, train

Drive = Callable[[Task], str | None]


def _drive(make: Callable[..., object], batch: int = 6, finish: int = 0) -> Drive:
    return partial(train, make=make, batch=batch, finish=finish)


def _tgd(**options: object) -> Callable[..., object]:
    return lambda program, task: optim.TGD(program.params, task.rewriter, **options)


def _shuffled(program: object, task: Task) -> object:
    """Give gated TGD advice that looks right and is drawn blindly."""
    inner = _tgd(gate=gates.Race())(program, task)
    bank = [
        f"Suggestion: for {topic}, answer {colour}."
        for topic in task.world.topics
        for colour in task.world.colours
    ]
    return optim.ShuffledFeedback(inner, bank=bank, seed=task.plan.seed)


def _patch(**options: object) -> Callable[..., object]:
    return lambda program, task: optim.PatchTGD(
        program.params, task.rewriter, seed=task.plan.seed, **options
    )


def _gepa(**options: object) -> Callable[..., object]:
    return lambda program, task: optim.GEPA(
        program.params, task.rewriter, seed=task.plan.seed, **options
    )


def _search(kind: Callable[..., object], **options: object) -> Callable[..., object]:
    return lambda program, task: kind(
        program.params, task.rewriter, seed=task.plan.seed, **options
    )


def _beam(program: object, task: Task) -> object:
    return optim.BeamTGD(
        program.params, task.rewriter, critic=task.critic, seed=task.plan.seed
    )


OPTIMIZERS: Final[Mapping[str, Drive]] = MappingProxyType(
    {
        "NoOp": lambda task: None,
        "RandomRewrite": _drive(
            lambda program, task: optim.RandomRewrite(
                program.params, task.rewriter, gate=gates.Improve()
            )
        ),
        "BestOfN": _drive(
            lambda program, task: optim.BestOfN(program.params, task.rewriter)
        ),
        "ShuffledFeedback": _drive(_shuffled),
        "TGD": _drive(_tgd()),
        "TGD + Race": _drive(_tgd(gate=gates.Race())),
        "race-loop": race_loop,
        "PatchTGD": _drive(_patch(), finish=1),
        "GEPA": _drive(_gepa(), finish=1),
        "BeamTGD": _drive(_beam),
        "OPRO": _drive(_search(optim.OPRO)),
        "OptoPrime": _drive(_search(optim.OptoPrime)),
        "SIMBA": _drive(_search(optim.SIMBA)),
        "FeedbackDescent": _drive(_search(optim.FeedbackDescent)),
    }
)
"""Controls first, then the loop by hand, then afnio's own."""
DEFAULT: Final = "PatchTGD"
"""The preset that is recommended, and that all others are compared with."""
