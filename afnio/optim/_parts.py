"""The parts of a search that are not modules of their own, and all of them together."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from afnio.optim._checks import require_bool, require_int, require_number, require_part
from afnio.optim._decision import Gate
from afnio.optim._jobs import Job
from afnio.optim.memory import Memory, NoMemory
from afnio.optim.pools import Pool
from afnio.optim.proposers import Proposer


@runtime_checkable
class Selector(Protocol):
    """Chooses which of the parameters with feedback a candidate changes."""

    def select(self, jobs: Sequence[Job], turn: int) -> list[Job]:
        """Return some of the jobs, at least one; ``turn`` counts proposals."""


@dataclass(frozen=True, slots=True)
class AllBlamed:
    """Change every parameter that has feedback."""

    def select(self, jobs: Sequence[Job], turn: int) -> list[Job]:
        """Return all."""
        del turn
        return list(jobs)


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Change one parameter after the other."""

    def select(self, jobs: Sequence[Job], turn: int) -> list[Job]:
        """Return the one whose turn it is."""
        return [jobs[turn % len(jobs)]]


SELECTORS: dict[str, Selector] = {"all": AllBlamed(), "round_robin": RoundRobin()}


@runtime_checkable
class Sampler(Protocol):
    """Chooses training samples, for closures that can evaluate some of them."""

    @property
    def tries(self) -> int:
        """Draws per parent, until some sample is not right."""

    def draw(self, total: int, left: list[int], rng: random.Random) -> list[int]:
        """Return numbers of samples; ``left`` is what is left of the epoch."""


@dataclass(frozen=True, slots=True)
class Minibatch:
    """Go through the training samples in random order, ``size`` at a time.

    Args:
        size: Samples per draw.
        tries: How many draws, until one has a sample that is not right.
    """

    size: int = 4
    tries: int = 3

    def __post_init__(self) -> None:
        require_int("batch_size", self.size, 1)
        require_int("tries", self.tries, 1)

    def draw(self, total: int, left: list[int], rng: random.Random) -> list[int]:
        """Take the next ones; a new epoch starts when there are not enough."""
        if len(left) < min(self.size, total):
            left[:] = rng.sample(range(total), total)
        taken, left[:] = left[: self.size], left[self.size :]
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """When a search has done enough: `step` then does nothing.

    Args:
        patience: Steps in a row without an accepted candidate.
        target: Mean validation score that is good enough.
        calls: Model calls of all roles that its steps have made.
    """

    patience: int | None = None
    target: float | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        for name in ("patience", "calls"):
            if (value := getattr(self, name)) is not None:
                require_int(name, value, 1)
        if self.target is not None:
            require_number("target", self.target, float("-inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a search is made of. Presets differ in nothing else."""

    proposer: Proposer
    """Writes new values."""
    gate: Gate
    """Whether a candidate is accepted, on the validation samples."""
    pool: Pool
    """Which candidates to go on from, and which one to use."""
    check: Gate | None = None
    """Whether it goes to validation at all, on the training samples it was made from;
    only for closures that can evaluate these again."""
    finalists: int | None = None
    """How many go on to validation after the check: those that gain most; None for
    all."""
    memory: Memory = field(default_factory=NoMemory)
    """What proposers are told about earlier steps."""
    selector: Selector = field(default_factory=AllBlamed)
    """Which parameters a candidate changes."""
    sampler: Sampler = field(default_factory=Minibatch)
    """Which training samples to look at, for closures that can evaluate some."""
    stop_when: Stop = field(default_factory=Stop)
    """When it has done enough."""
    parents: int = 1
    """Candidates to go on from in a step, if the closure can train them."""
    proposals: int = 1
    """Candidates made of each parent."""
    unite: bool = False
    """Whether the changes that passed the check go to validation together, the best of
    them alone only if that fails: independent repairs add up, as gradients do over a
    batch."""
    prune: bool = False
    """Whether after a step that gained nothing one candidate is the parent without
    one of its sentences or lines; no model is asked for it."""
    merges: int = 0
    """Candidates made by uniting two, in all."""

    def __post_init__(self) -> None:
        require_part("proposer", self.proposer, Proposer, "a method propose")
        require_part("gate", self.gate, Gate, "a method decide")
        require_part("pool", self.pool, Pool, "methods parents and best")
        require_part("memory", self.memory, Memory, "a method recall")
        require_part("selector", self.selector, Selector, "a method select")
        require_part("sampler", self.sampler, Sampler, "a method draw")
        require_part("stop_when", self.stop_when, Stop, "the type optim.Stop")
        if self.finalists is not None:
            require_int("finalists", self.finalists, 1)
        if self.check is not None:
            require_part("check", self.check, Gate, "a method decide")
        require_bool("unite", self.unite)
        require_bool("prune", self.prune)
        require_int("parents", self.parents, 1)
        require_int("proposals", self.proposals, 1)
        require_int("merges", self.merges, 0)
