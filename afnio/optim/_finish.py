"""The return rule: what a search has found, compared with its start on fresh draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from afnio._dispatch import gather
from afnio.errors import BudgetError
from afnio.optim._decision import weigh
from afnio.optim._racing import Entrant, evaluate
from afnio.optim._scores import Scores, paired
from afnio.optim._statistics import sign_test
from afnio.optim._trials import Trials
from afnio.optim.gates import Decision
from afnio.optim.pools import Candidate

DRAWS: Final = 3
"""At most so many evaluations of the two that are compared in the end."""


@dataclass(slots=True)
class Runner:
    """A candidate in the final comparison, and its fresh scores."""

    candidate: Candidate
    entrant: Entrant
    draws: list[Scores] = field(default_factory=list)

    def means(self) -> tuple[float | None, ...]:
        """Return the mean score of each sample over all draws that have one."""
        return tuple(_mean(column) for column in zip(*self.draws, strict=True))

    async def draw(self, trials: Trials) -> None:
        """Evaluate it once more on everything."""
        fresh = Entrant(self.entrant.values, self.candidate.number)
        await evaluate(trials, [fresh], range(trials.blocks))
        self.entrant = fresh
        self.draws.append(fresh.scores(range(trials.blocks)))


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return fmean(known) if known else None


def finalists(
    candidates: Sequence[Candidate], installed: Candidate, top: int
) -> list[Candidate]:
    """Return who takes part: the start first, then the others from old to new.

    Those are what is installed, and the best by their scores, ``top`` in all; of equals
    the shortest.
    """

    def rank(one: Candidate) -> tuple[bool, float, int, int]:
        mean = float("-inf") if one.mean is None else one.mean
        return (one.values == installed.values, mean, *_order(one))

    start = min(candidates, key=lambda one: one.number)
    chosen = sorted(candidates, key=rank, reverse=True)
    found: dict[str, Candidate] = {}
    for one in chosen:
        if one.values != start.values:
            found.setdefault(repr(one.values), one)
    kept = list(found.values())[:top]
    return [start, *sorted(kept, key=lambda one: one.number)]


def _size(one: Candidate) -> int:
    return sum(len(str(value)) for value in one.values)


def _order(one: Candidate) -> tuple[int, int]:
    """Return what decides between equals: the shorter one, then the newer one."""
    return (-_size(one), one.number)


def standing(start: Runner, other: Runner, rivals: int, alpha: float) -> Decision:
    """Say whether a candidate is better than the start, with confidence.

    The sign test is over samples, so more draws of the same samples make it sharper
    without pretending to be more samples; it is multiplied by the number of ``rivals``
    that the candidate was the best of.
    """
    theirs, mine = paired(start.means(), other.means())
    weighed = weigh(theirs, mine)
    p = min(1.0, _mid_p(weighed["wins"], weighed["losses"]) * rivals)
    better = weighed["difference"] > 0 and p <= alpha
    passes = f"{len(other.draws)} fresh draw{'s' * (len(other.draws) > 1)}"
    word = "better than the start" if better else "kept the start: not surely better"
    reason = f"{word} on {passes} (p = {p:.3g} of {rivals})"
    return Decision(accepted=better, reason=reason, **weighed)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the final comparison has come to."""

    chosen: Runner
    decision: Decision
    """How the best of the others compares with the start."""
    start: tuple[float, ...]
    best: tuple[float, ...]


def _mid_p(wins: int, losses: int) -> float:
    """Return the sign test's mid-p: what was seen counts half.

    The exact test is too careful with few samples; and the more so, the fewer differ.
    Source: H. O. Lancaster, J. American Statistical Association 56 (1961) 223.
    """
    beyond = sign_test(wins + 1, losses - 1) if losses else 0.0
    return (sign_test(wins, losses) + beyond) / 2


async def decided(trials: Trials, runners: Sequence[Runner], alpha: float) -> Verdict:
    """Draw afresh until it is clear whether the best is better than the start.

    Args:
        trials: Evaluates.
        runners: The start first.
        alpha: Chance of preferring one that is not better.

    Model calls: one evaluation each; then the start and the best of the others are
    evaluated up to twice more, as long as the best has the higher mean and it is not
    clear.
    """
    start, *others = runners
    await gather(runner.draw(trials) for runner in runners)
    rows = paired_rows([runner.draws[0] for runner in others])
    totals = [math.fsum(row) for row in rows]
    best = max(
        zip(totals, others, strict=True),
        key=lambda item: (round(item[0], 9), *_order(item[1].candidate)),
    )[1]
    decision = standing(start, best, len(others), alpha)
    while not decision.accepted and decision.difference > 0 and len(best.draws) < DRAWS:
        try:
            await gather(runner.draw(trials) for runner in (start, best))
        except BudgetError:
            break  # what is known decides
        decision = standing(start, best, len(others), alpha)
    theirs, mine = paired(start.means(), best.means())
    return Verdict(best if decision.accepted else start, decision, theirs, mine)


def paired_rows(rows: Sequence[Scores]) -> list[list[float]]:
    """Return the scores on the samples that have one in every row."""
    whole = [column for column in zip(*rows, strict=True) if None not in column]
    return [[column[k] for column in whole] for k in range(len(rows))]
