"""Successive halving: many candidates on a few samples, the better ones on more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from afnio._dispatch import gather
from afnio.optim._racing import (
    Entrant,
    Ruling,
    evaluate,
    looks_early,
    ruling,
    standings,
)
from afnio.optim._scores import paired
from afnio.optim._trials import Trials, Values
from afnio.optim.gates import Gate, SequentialGate


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
        return looks_early(self.trials, self.gate)

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
            await evaluate(self.trials, [*alive, *along], [block])
            alive = self._better(alive, block)
        self.leader = alive[0] if alive else None

    def _better(self, alive: Sequence[Entrant], block: int) -> list[Entrant]:
        """Return who goes on after a block, in the order of proposals."""
        is_final = block == self.trials.blocks - 1
        count = 1 if is_final else math.ceil(self.keep * len(alive) - 1e-9)
        seen = range(block + 1)
        totals = standings(alive, seen)
        ranked = sorted(alive, key=lambda one: (totals[one.number], one.number))[::-1]
        for place, entrant in enumerate(ranked[count:], count + 1):
            scores = entrant.known()
            entrant.fate = (
                f"place {place} of {len(alive)} on {len(scores)} samples, mean "
                f"{fmean(scores):.3f}; the best {count} went on"
            )
        return sorted(ranked[:count], key=lambda one: one.number)

    def leader_is_ahead(self) -> bool:
        """Whether the leader did no worse than the incumbent on the same samples."""
        if self.leader is None:
            return False
        both = sorted(self.leader.parts.keys() & self.incumbent.parts.keys())
        mine, theirs = paired(self.leader.scores(both), self.incumbent.scores(both))
        return math.fsum(mine) >= math.fsum(theirs)

    async def rulings(self) -> list[Ruling]:
        """Put the leader to the gate; without blocks, every candidate."""
        if self.leader is None:
            return []
        if self._looks_early and isinstance(self.gate, SequentialGate):
            return [await self._race(self.leader, self.gate)]
        blocks = range(self.trials.blocks)
        await evaluate(self.trials, [self.leader, self.incumbent], blocks)
        judged = self.tried if self.trials.blocks == 1 else [self.leader]
        await evaluate(self.trials, [self.incumbent, *judged], blocks)
        return [ruling(one, self.incumbent, self.gate, blocks) for one in judged]

    async def _race(self, leader: Entrant, gate: SequentialGate) -> Ruling:
        order = range(self.trials.blocks)[::-1]
        await gather(
            [
                evaluate(self.trials, [leader], order),
                evaluate(self.trials, [self.incumbent], order[:1]),
            ]
        )
        total = len(leader.known())
        for count in range(1, len(order)):
            seen = order[:count]
            await evaluate(self.trials, [leader, self.incumbent], seen)
            theirs, mine = paired(self.incumbent.scores(seen), leader.scores(seen))
            decision = gate.early(theirs, mine, total)
            if decision is not None:
                return Ruling(leader, decision, theirs, mine)
        await evaluate(self.trials, [leader, self.incumbent], order)
        return ruling(leader, self.incumbent, gate, order)
