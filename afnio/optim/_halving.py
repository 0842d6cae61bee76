"""Successive halving: many candidates on a few samples, the better ones on more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from afnio._dispatch import gather
from afnio.errors import InputValueError
from afnio.optim._trials import Trial, Trials, Values
from afnio.optim.gates import Decision, Gate, SequentialGate


@dataclass(slots=True, eq=False)
class Entrant:
    """A candidate, and its evaluations so far."""

    values: Values
    number: int = -1
    """Its place in the order of proposals; -1 for the present values."""
    parts: dict[int, Trial] = field(default_factory=dict)
    """By block."""
    fate: str = ""
    """Why it was dropped."""

    def scores(self, blocks: Iterable[int] | None = None) -> tuple[float, ...]:
        """Return the scores on these blocks, in their order; all known ones for None.

        Raises:
            KeyError: It was not evaluated on one of them.
        """
        chosen = sorted(self.parts) if blocks is None else blocks
        return tuple(score for block in chosen for score in self.parts[block].scores)

    @property
    def result(self) -> Any:
        """What the closure returned; a list of parts if there are several blocks."""
        results = [self.parts[block].result for block in sorted(self.parts)]
        return results[0] if len(results) == 1 else results


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the gate said about an entrant, and the scores it saw."""

    entrant: Entrant
    decision: Decision
    parent_scores: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(slots=True)
class Contest:
    """One step's competition between candidates, and of the winner with the incumbent.

    In every round, all candidates and the leader of earlier rounds are evaluated on the
    first block of samples; the best share of them goes on to the next block, until one
    is left. Only scores on the same samples are ever compared. At equal scores the
    newest candidate wins. Evaluations of a stage run at the same time.

    The last leader is evaluated on everything and put to the gate. A sequential gate
    sees the last block first: fewer candidates were chosen by their scores on it than
    on the first ones, which flatter the leader. The incumbent is evaluated on those
    blocks only that the gate asks for (and, if a further round starts from the better
    of both, on the leader's).

    Args:
        trials: Evaluates.
        gate: Who decides.
        keep: Share of the candidates that goes on after each block.
        incumbent: The present values, with what is known about them.
    """

    trials: Trials
    gate: Gate
    keep: float
    incumbent: Entrant
    tried: list[Entrant] = field(default_factory=list)
    leader: Entrant | None = None

    @property
    def _looks_early(self) -> bool:
        return self.trials.blocks > 1 and isinstance(self.gate, SequentialGate)

    async def round(self, candidates: Sequence[Values], *, last: bool) -> None:
        """Let new candidates compete with the leader."""
        count = len(self.tried)
        new = [Entrant(values, count + i) for i, values in enumerate(candidates)]
        self.tried += new
        alive = new if self.leader is None else [self.leader, *new]
        along = [] if last and self._looks_early else [self.incumbent]
        for block in range(self.trials.blocks):
            if not alive or (block and len(alive) == 1):
                break
            await self._evaluate([*alive, *along], [block])
            alive = self._better(alive, block)
        self.leader = alive[0] if alive else None

    def _better(self, alive: Sequence[Entrant], block: int) -> list[Entrant]:
        """Return who goes on after a block, in the order of proposals."""
        is_final = block == self.trials.blocks - 1
        count = 1 if is_final else math.ceil(self.keep * len(alive) - 1e-9)
        seen = range(block + 1)
        ranked = sorted(
            alive, key=lambda one: (math.fsum(one.scores(seen)), one.number)
        )[::-1]
        for place, entrant in enumerate(ranked[count:], count + 1):
            scores = entrant.scores(seen)
            entrant.fate = (
                f"place {place} of {len(alive)} on {len(scores)} samples, mean "
                f"{math.fsum(scores) / len(scores):.3f}; the best {count} went on"
            )
        return sorted(ranked[:count], key=lambda one: one.number)

    def leader_is_ahead(self) -> bool:
        """Whether the leader did no worse than the incumbent on the same samples."""
        if self.leader is None:
            return False
        both = sorted(self.leader.parts.keys() & self.incumbent.parts.keys())
        mine, theirs = self.leader.scores(both), self.incumbent.scores(both)
        return math.fsum(mine) >= math.fsum(theirs)

    async def rulings(self) -> list[Ruling]:
        """Put the leader to the gate; without blocks, every candidate."""
        if self.leader is None:
            return []
        if self._looks_early and isinstance(self.gate, SequentialGate):
            return [await self._race(self.leader, self.gate)]
        blocks = range(self.trials.blocks)
        await self._evaluate([self.leader, self.incumbent], blocks)
        judged = self.tried if self.trials.blocks == 1 else [self.leader]
        return [self._ruling(entrant, blocks) for entrant in judged]

    async def _race(self, leader: Entrant, gate: SequentialGate) -> Ruling:
        order = range(self.trials.blocks)[::-1]
        await gather(
            [
                self._evaluate([leader], order),
                self._evaluate([self.incumbent], order[:1]),
            ]
        )
        total = len(leader.scores())
        for count in range(1, len(order)):
            seen = order[:count]
            await self._evaluate([self.incumbent], seen)
            theirs, mine = self.incumbent.scores(seen), leader.scores(seen)
            decision = gate.early(theirs, mine, total)
            if decision is not None:
                return Ruling(leader, decision, theirs, mine)
        await self._evaluate([self.incumbent], order)
        return self._ruling(leader, order)

    def _ruling(self, entrant: Entrant, blocks: Sequence[int]) -> Ruling:
        theirs, mine = self.incumbent.scores(blocks), entrant.scores(blocks)
        return Ruling(entrant, self.gate.decide(theirs, mine), theirs, mine)

    async def _evaluate(
        self, entrants: Sequence[Entrant], blocks: Sequence[int]
    ) -> None:
        """Evaluate entrants on the blocks they lack, all at the same time."""
        missing = [
            (entrant, block)
            for entrant in entrants
            for block in blocks
            if block not in entrant.parts
        ]
        found = await gather(
            self.trials.part(entrant.values, block) for entrant, block in missing
        )
        for (entrant, block), trial in zip(missing, found, strict=True):
            entrant.parts[block] = trial
        for block in blocks:
            _check_same([entrant.parts[block] for entrant in entrants])


def _check_same(trials: Sequence[Trial]) -> None:
    counts = sorted({len(trial.scores) for trial in trials})
    if len(counts) > 1:
        raise InputValueError(
            f"candidates are compared on the same samples, but the closure gave "
            f"{counts[0]} scores for one and {counts[-1]} for another. It must score "
            "the same samples every time it is called within a step."
        )


def chosen_among(rulings: Sequence[Ruling]) -> Ruling | None:
    """Return the accepted one with the highest scores, the newest of equals, or None.

    All must have been evaluated on everything.
    """
    accepted = [ruling for ruling in rulings if ruling.decision.accepted]
    return max(
        accepted,
        key=lambda one: (math.fsum(one.entrant.scores()), one.entrant.number),
        default=None,
    )
