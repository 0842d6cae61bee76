"""One run of one optimizer in a simulated world: program, budget and record."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from afnio import Variable, set_backward_model_client
from afnio.autodiff.evaluator import DeterministicEvaluator
from afnio.cognitive.functional import chat_completion
from afnio.cognitive.parameter import Parameter
from afnio.errors import BudgetError, ReplyError
from afnio.models import Budget
from afnio.optim import SampleClosure, Search
from benchmarks.simworld import Item, Physics, World, score
from benchmarks.simworld.client import SimModel
from benchmarks.simworld.models import Models

Prompts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which run."""

    preset: str
    physics: Physics
    optimizer: str
    seed: int
    budget: int


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a run. Accuracies are exact, on the test items."""

    plan: Plan
    curve: tuple[tuple[int, float], ...]
    """Calls, and the accuracy of the prompts that were returned from then on."""
    seed_accuracy: float
    oracle: float
    calls: dict[str, int]
    prompts: Prompts
    seconds: float
    changed: bool
    """Whether it returned other prompts than the seed's."""
    note: str = ""

    @property
    def final(self) -> float:
        """The accuracy at the end."""
        return self.curve[-1][1]


@dataclass(slots=True)
class Task:
    """What an optimizer gets: a program, items, models, and so many calls."""

    plan: Plan
    world: World
    models: Models
    forward: SimModel
    critic: SimModel
    rewriter: SimModel
    rng: random.Random
    trail: list[tuple[int, Prompts]] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan) -> Task:
        """Make a fresh world and fresh models."""
        world = World(plan.seed, plan.physics)
        models = Models(world)
        clients = [SimModel(models, role) for role in ("forward", "critic", "rewriter")]
        rng = random.Random(f"{plan.seed} {plan.preset}")
        return cls(plan, world, models, *clients, rng)

    @property
    def spent(self) -> int:
        """Calls of all roles so far."""
        return self.models.calls.total()

    def note(self, prompts: Sequence[str]) -> None:
        """Record what would be returned now."""
        self.trail.append((self.spent, tuple(prompts)))

    def batches(self, size: int) -> Iterator[list[Item]]:
        """Yield training batches for ever, every item once in an epoch."""
        while True:
            order = self.rng.sample(self.world.train, len(self.world.train))
            for start in range(0, len(order), size):
                yield order[start : start + size]


class Program:
    """The program to be improved: one call per module."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.params = [
            Parameter(
                text, f"system prompt{'' if desk is None else f' of the {desk}s'}"
            )
            for desk, text in zip(
                task.world.desks, task.world.seed_prompts, strict=True
            )
        ]

    @property
    def prompts(self) -> Prompts:
        """The present prompts."""
        return tuple(str(param.data) for param in self.params)

    def __call__(self, items: Sequence[Item]) -> Any:
        """Return score and explanation of a batch, pending."""
        requests = [item.request for item in items]
        if len(self.params) == 1:
            answer = self._ask(self.params[0], "{request}", request=requests)
        else:
            first, second = self.params
            notes = self._ask(first, "Bird desk. {request}", request=requests)
            answer = self._ask(
                second,
                "Stone desk. {request}\nNotes: {notes}",
                request=requests,
                notes=notes,
            )
        references = [item.reference for item in items]
        return DeterministicEvaluator.apply(
            answer, references, score, "exact match", None, sum, "sum"
        )

    def _ask(self, prompt: Parameter, template: str, **inputs: Any) -> Variable:
        messages = [
            {"role": "system", "content": [prompt]},
            {"role": "user", "content": [Variable(template, "request")]},
        ]
        return chat_completion(self._task.forward, messages, inputs=inputs)


Make = Callable[[Program, Task], Any]

ENOUGH: Final = 30
"""Validation items from which one more look at them is enough to decide at the end."""


def train(task: Task, make: Make, batch: int = 6, finish: int = 0) -> None:
    """Train with one of afnio's optimizers until the calls are spent.

    Args:
        task: The run.
        make: Returns the optimizer.
        batch: Training items per step, for optimizers that read gradients.
        finish: How many candidates its `finish` compares at the end, on calls that are
            set aside for it; 0 for none.
    """
    program = Program(task)
    optimizer = make(program, task)
    world = task.world
    items = world.train if isinstance(optimizer, Search) else ()
    closure = SampleClosure(program, world.val, parameters=program.params, train=items)
    batches = task.batches(batch)
    draws = finish and finish + (1 if len(world.val) >= ENOUGH else 5)
    aside = draws * len(world.val) * len(world.desks)
    task.note(program.prompts)
    with set_backward_model_client(task.critic):
        with Budget(calls=task.plan.budget - aside):
            _until_spent(
                task, program, lambda: _step(program, optimizer, closure, batches)
            )
        if finish:
            with Budget(calls=aside), suppress(BudgetError):
                optimizer.finish(closure, finish)
        task.note(program.prompts)


def _until_spent(task: Task, program: Program, step: Callable[[], None]) -> None:
    while True:
        try:
            step()
        except BudgetError:
            break
        except ReplyError:
            continue
        finally:
            task.note(program.prompts)


def _step(
    program: Program, optimizer: Any, closure: SampleClosure, batches: Iterator[Any]
) -> None:
    if isinstance(optimizer, Search):
        optimizer.step(closure)
        return
    optimizer.zero_grad()
    _, explanation = program(next(batches))
    explanation.backward()
    optimizer.step(*((closure,) if optimizer.requires_closure else ()))


def run(plan: Plan, drive: Callable[[Task], str | None]) -> Run:
    """Run an optimizer and measure what it returned.

    Args:
        plan: Which run.
        drive: Spends the budget and notes what it would return; may return a remark.
    """
    task, start = Task.of(plan), time.perf_counter()
    task.note(task.world.seed_prompts)
    remark = drive(task)
    return measured(task, time.perf_counter() - start, remark or "")


def measured(task: Task, seconds: float, remark: str) -> Run:
    """Give every note its exact accuracy."""
    world, known = task.world, dict[Prompts, float]()
    curve: list[tuple[int, float]] = []
    for calls, prompts in task.trail:
        if prompts not in known:
            known[prompts] = world.accuracy(prompts)
        if not curve or curve[-1][1] != known[prompts]:
            curve.append((calls, known[prompts]))
    final = task.trail[-1][1]
    return Run(
        plan=task.plan,
        curve=tuple(curve),
        seed_accuracy=world.seed_accuracy,
        oracle=world.oracle,
        calls=dict(task.models.calls),
        prompts=final,
        seconds=seconds,
        changed=final != world.seed_prompts,
        note=remark,
    )
