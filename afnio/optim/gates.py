"""Gates: whether a candidate may take its parent's place.

A gate sees per-sample scores of both on the *same* samples, higher is better, and
returns a `Decision` that carries its evidence. Gates keep no state. Samples without a
score on either side are left out before a gate sees them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from afnio.optim._checks import require_int, require_number, require_part
from afnio.optim._decision import (
    Decision,
    Gate,
    SequentialGate,
    Ties,
    check_ties,
    verdict,
    weigh,
)
from afnio.optim._scores import sample_scores
from afnio.optim._statistics import sign_test, wins_and_losses

__all__ = [
    "Always",
    "Anneal",
    "Decision",
    "Gate",
    "Improve",
    "Margin",
    "NonInferior",
    "Race",
    "SequentialGate",
    "TwoStage",
    "ValRevert",
    "sample_scores",
]


@dataclass(frozen=True, slots=True)
class Always:
    """Accept every candidate, and record how it compares."""

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Accept."""
        return Decision(
            accepted=True, reason="always accepts", **weigh(parent, candidate)
        )


@dataclass(frozen=True, slots=True)
class Improve:
    """Accept a candidate with a higher mean score.

    Args:
        ties: Who wins at equal means. ``"parent"`` is the strict gate; ``"newest"``
            lets the search drift over plateaus.

    Examples:
        >>> decision = Improve().decide(parent=[0, 1, 0], candidate=[1, 1, 0])
        >>> decision.accepted, decision.reason
        (True, 'mean difference +0.333 above +0.000')
    """

    ties: Ties = "parent"

    def __post_init__(self) -> None:
        check_ties(self.ties)

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Compare mean scores."""
        return verdict(weigh(parent, candidate), 0.0, self.ties)


@dataclass(frozen=True, slots=True)
class ValRevert:
    """Keep the new value unless the mean score falls.

    Args:
        tolerance: How far it may fall.
        ties: Who wins exactly there.
    """

    tolerance: float = 0.0
    ties: Ties = "newest"

    def __post_init__(self) -> None:
        require_number("tolerance", self.tolerance, 0.0)
        check_ties(self.ties)

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Compare mean scores."""
        return verdict(weigh(parent, candidate), 0.0 - self.tolerance, self.ties)


@dataclass(frozen=True, slots=True)
class Margin:
    """Accept a candidate whose mean score is higher by at least ``delta``.

    Args:
        delta: The gain that a change must bring.
    """

    delta: float

    def __post_init__(self) -> None:
        require_number("delta", self.delta, 0.0)

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Compare mean scores."""
        return verdict(weigh(parent, candidate), self.delta, "newest")


@dataclass(frozen=True, slots=True)
class NonInferior:
    """Accept a candidate that is shown to be at most ``delta`` worse.

    Args:
        delta: The loss that would not matter.
        confidence: Of the interval whose lower bound has to lie above ``-delta``.
    """

    delta: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        require_number("delta", self.delta, 0.0)
        require_number("confidence", self.confidence, 0.5, 0.9999)

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Compare the interval's lower bound with the margin."""
        weighed = weigh(parent, candidate, self.confidence)
        low = weighed["interval"][0]
        accepted = low > -self.delta
        relation = "above" if accepted else "not above"
        reason = f"lower bound {low:+.3f} {relation} {-self.delta:+.3f}"
        return Decision(accepted=accepted, reason=reason, **weighed)


@dataclass(frozen=True, slots=True)
class Race:
    """Compare block by block, and stop as soon as the winner is clear.

    After each block of samples but the last, an exact sign test looks both ways; the
    chance of a wrong early stop is at most ``alpha`` over all looks. What is not
    decided early is decided by the mean of all samples.

    Args:
        block: Samples between two looks.
        alpha: Chance of a wrong early stop, either way, between equal candidates.
        ties: Who wins at equal means.
        behind: Give a candidate up at a look at which it has so many more losses than
            wins; None waits for a clear case.
        ahead: Accept it at a look at which it has so many more wins; None waits.

    ``behind`` and ``ahead`` are Wald's sequential test of the samples on which the two
    differ: if a candidate that is better wins 3 of 4 of these (and a worse one loses
    3 of 4), a lead of k is wrong with chance 1 / (1 + 3**k): 10 % for 2, 4 % for 3.
    They spend calls where something is to be gained, and prove nothing.

    Source: A. Wald, Annals of Mathematical Statistics 16 (1945) 117.
    """

    block: int = 8
    alpha: float = 0.1
    ties: Ties = "newest"
    behind: int | None = None
    ahead: int | None = None

    def __post_init__(self) -> None:
        require_int("block", self.block, 1)
        require_number("alpha", self.alpha, 0.0, 1.0)
        check_ties(self.ties)
        for name in ("behind", "ahead"):
            if (lead := getattr(self, name)) is not None:
                require_int(name, lead, 1)

    def early(
        self, parent: Sequence[float], candidate: Sequence[float], total: int
    ) -> Decision | None:
        """Look at the blocks that are complete; the first clear look decides."""
        looks = (total - 1) // self.block
        for end in range(self.block, min(len(parent), total - 1) + 1, self.block):
            wins, losses = wins_and_losses(parent[:end], candidate[:end])
            chance = 2 * sign_test(max(wins, losses), min(wins, losses))
            word = (
                "clear" if chance <= self.alpha / looks else self._lead(wins - losses)
            )
            if word:
                weighed = weigh(parent[:end], candidate[:end])
                reason = f"{word} after {end} of {total}: {wins} wins, {losses} losses"
                return Decision(accepted=wins > losses, reason=reason, **weighed)
        return None

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Race over given scores."""
        weighed = weigh(parent, candidate)
        decided = self.early(parent, candidate, len(parent))
        return decided or verdict(weighed, 0.0, self.ties)

    def _lead(self, lead: int) -> str:
        """Say what a lead in wins means, if it decides."""
        if self.behind is not None and -lead >= self.behind:
            return "given up"
        return "ahead" if self.ahead is not None and lead >= self.ahead else ""


@dataclass(frozen=True, slots=True)
class TwoStage:
    """Let a candidate pass a first gate on a few samples before it sees the others.

    Args:
        n: Samples of the first stage.
        first: Who decides there; a candidate that it refuses costs no more.
        then: Who decides on all samples.

    Examples:
        >>> gate = TwoStage(n=2)
        >>> gate.decide(parent=[1, 1, 0, 0], candidate=[0, 1, 1, 1]).reason
        'first 2 of 4: mean difference -0.500 below +0.000'
    """

    n: int = 8
    first: Gate = field(default_factory=ValRevert)
    then: Gate = field(default_factory=lambda: Improve(ties="newest"))

    def __post_init__(self) -> None:
        require_int("n", self.n, 1)
        require_part("first", self.first, Gate, "a method decide")
        require_part("then", self.then, Gate, "a method decide")

    def early(
        self, parent: Sequence[float], candidate: Sequence[float], total: int
    ) -> Decision | None:
        """Refuse what fails the first stage; then ask a sequential second gate."""
        if self.n >= total or len(parent) < self.n:
            return None
        found = self.first.decide(parent[: self.n], candidate[: self.n])
        if not found.accepted:
            return replace(found, reason=f"first {self.n} of {total}: {found.reason}")
        if isinstance(self.then, SequentialGate):
            return self.then.early(parent, candidate, total)
        return None

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Pass both stages."""
        early = self.early(parent, candidate, len(parent))
        return early or self.then.decide(parent, candidate)


@dataclass(frozen=True, slots=True)
class Anneal:
    """Accept what is no worse, and at first also some of what is worse.

    A mean loss is accepted with the chance ``exp(-loss / temperature)``. The draw
    depends on ``seed``, the step and the scores alone, so it can be repeated.

    Args:
        temperature: At the first step, in units of the score.
        cooling: What the temperature is multiplied with at every step.
        seed: Of the draw.
        step: Which step it is; an optimizer sets this with `at`.
    """

    temperature: float = 0.05
    cooling: float = 0.9
    seed: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        require_number("temperature", self.temperature, 0.0)
        require_number("cooling", self.cooling, 0.0, 1.0)
        require_int("step", self.step, 0)

    def at(self, step: int) -> Anneal:
        """Return the gate of a later step."""
        return replace(self, step=step)

    def decide(self, parent: Sequence[float], candidate: Sequence[float]) -> Decision:
        """Draw."""
        weighed = weigh(parent, candidate)
        loss = max(0.0, -weighed["difference"])
        heat = self.temperature * self.cooling**self.step
        chance = 1.0 if loss <= 0 else math.exp(-loss / heat) if heat > 0 else 0.0
        key = f"{self.seed} {self.step} {list(parent)} {list(candidate)}"
        accepted = random.Random(key).random() < chance
        reason = (
            f"mean difference {weighed['difference']:+.3f}, accepted with chance "
            f"{chance:.2f} at temperature {heat:.3g}"
        )
        return Decision(accepted=accepted, reason=reason, **weighed)
