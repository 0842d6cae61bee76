"""Judging candidates against a parent: each only as far as the gate needs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from afnio._dispatch import gather
from afnio.optim._scores import paired, total
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

    def scores(self, blocks: Iterable[int] | None = None) -> tuple[float | None, ...]:
        """Return the scores on these blocks, in their order; all known ones for None.

        Raises:
            KeyError: It was not evaluated on one of them.
        """
        chosen = sorted(self.parts) if blocks is None else blocks
        return tuple(score for block in chosen for score in self.parts[block].scores)

    def known(self) -> tuple[float, ...]:
        """Return the scores there are."""
        return tuple(score for score in self.scores() if score is not None)

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


async def evaluate(
    trials: Trials, entrants: Sequence[Entrant], blocks: Iterable[int]
) -> None:
    """Evaluate entrants on the blocks they lack, all at the same time.

    Raises:
        InputValueError: They were not scored on the same samples.
    """
    chosen = list(blocks)
    missing = [
        (entrant, block)
        for entrant in entrants
        for block in chosen
        if block not in entrant.parts
    ]
    found = await gather(
        trials.part(entrant.values, block) for entrant, block in missing
    )
    for (entrant, block), trial in zip(missing, found, strict=True):
        entrant.parts[block] = trial
    for entrant in entrants[1:]:
        for block in chosen:
            paired(entrants[0].parts[block].scores, entrant.parts[block].scores)


def gate_at(gate: Gate, step: int) -> Gate:
    """Return the gate of a step; most are the same at every one."""
    at = getattr(gate, "at", None)
    return gate if at is None else at(step)


def looks_early(trials: Trials, gate: Gate) -> bool:
    """Whether a gate may stop before all blocks are evaluated."""
    return trials.blocks > 1 and isinstance(gate, SequentialGate)


async def judge(
    trials: Trials,
    entrants: Sequence[Entrant],
    parent: Entrant,
    gate: Gate,
    order: Sequence[int] | None = None,
) -> list[Ruling]:
    """Return what the gate says about each entrant, in their order.

    A sequential gate sees block after block; who is decided on is evaluated no further,
    and the parent only where somebody is still compared with it. If several are
    accepted, these are evaluated on everything, so that the best can be told.

    Args:
        trials: Evaluates.
        entrants: Who wants the parent's place.
        parent: The one to compare with, and what is known about it.
        gate: Who decides.
        order: In which the blocks are seen; None for their own.
    """
    blocks = list(range(trials.blocks) if order is None else order)
    rulings: dict[int, Ruling] = {}
    if isinstance(gate, SequentialGate):
        for count in range(1, len(blocks)):
            alive = [one for one in entrants if one.number not in rulings]
            await evaluate(trials, [parent, *alive] if alive else [], blocks[:count])
            for one in alive:
                found = _early(one, parent, gate, blocks, count)
                if found is not None:
                    rulings[one.number] = found
    alive = [one for one in entrants if one.number not in rulings]
    await evaluate(trials, [parent, *alive] if alive else [], blocks)
    for one in alive:
        rulings[one.number] = ruling(one, parent, gate, blocks)
    accepted = [one for one in entrants if rulings[one.number].decision.accepted]
    await evaluate(trials, accepted if len(accepted) > 1 else [], blocks)
    return [rulings[one.number] for one in entrants]


def _early(
    one: Entrant,
    parent: Entrant,
    gate: SequentialGate,
    blocks: Sequence[int],
    count: int,
) -> Ruling | None:
    """Return what the gate says on the first ``count`` blocks, if it is sure."""
    seen = blocks[:count]
    theirs, mine = paired(parent.scores(seen), one.scores(seen))
    if set(blocks) <= set(parent.parts):
        expected = len(parent.known())
    else:
        expected = round(len(mine) * len(blocks) / count)
    decision = gate.early(theirs, mine, expected)
    return None if decision is None else Ruling(one, decision, theirs, mine)


def ruling(one: Entrant, parent: Entrant, gate: Gate, blocks: Sequence[int]) -> Ruling:
    """Return what a gate says when everything is evaluated."""
    theirs, mine = paired(parent.scores(blocks), one.scores(blocks))
    return Ruling(one, gate.decide(theirs, mine), theirs, mine)


def chosen_among(rulings: Sequence[Ruling]) -> Ruling | None:
    """Return the accepted one with the highest scores, the newest of equals, or None.

    Several must have been evaluated on everything.
    """
    accepted = [ruling for ruling in rulings if ruling.decision.accepted]
    totals = standings([ruling.entrant for ruling in accepted])
    return max(
        accepted,
        key=lambda one: (totals[one.entrant.number], one.entrant.number),
        default=None,
    )


def standings(
    entrants: Sequence[Entrant], blocks: Iterable[int] | None = None
) -> dict[int, float]:
    """Return totals by number, on the samples that have a score in all of them."""
    if len(entrants) < 2:  # noqa: PLR2004 - nobody to compare with
        return {one.number: total(one.scores(blocks)) for one in entrants}
    chosen = None if blocks is None else list(blocks)
    rows = zip(*(one.scores(chosen) for one in entrants), strict=True)
    whole = [row for row in rows if None not in row]
    return {
        one.number: total([row[place] for row in whole])
        for place, one in enumerate(entrants)
    }
