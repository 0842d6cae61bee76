"""How the simulated models behave, and the worlds that every comparison reports."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Physics:
    """Everything that decides how hard a world is; all chances are from 0 to 1.

    These numbers decide which optimizer wins. Whoever quotes a result quotes them too,
    and varies them: ``python -m benchmarks.optim --set recall=0.4``.
    """

    # the task
    rules: int = 12
    """Topics with a rule of their own."""
    variants: int = 4
    """Colours that a rule may ask for; without a rule, one of them is guessed."""
    zipf: float = 0.8
    """How much rarer each topic is than the one before: frequency is rank**-zipf."""
    shift: float = 0.0
    """How far the topics of the test items are turned from those of the training."""
    train: int = 40
    val: int = 40
    test: int = 400
    desks: int = 1
    """Modules; with 2, one knows the birds and one the stones."""
    conflicts: int = 0
    """Topics whose rule depends on the city."""
    known: bool = False
    """Whether the seed prompt has all rules already: no headroom."""
    trap: bool = False
    """Whether the seed prompt asks for a form of answer that is always wrong."""
    reveal: Literal["rich", "score"] = "rich"
    """Whether references show the right colours, or only serve to check."""

    # the forward model
    slip: float = 0.03
    """Chance that a rule is not followed."""
    smudge: float = 0.25
    """Share of items that are hard to read."""
    smudge_slip: float = 0.25
    """Chance of not following a rule on such an item, besides."""
    item_share: float = 0.6
    """Share of the noise that stays with the item; the rest is new in every call."""
    capacity: int = 24
    """Lines of a prompt that do no harm."""
    dilution: float = 0.05
    """What each line beyond that costs, as a factor ``exp(-dilution)``."""
    interference: float = 0.002
    """What any line costs."""
    imitation: float = 0.35
    """Chance that a colour shown in an example is used as if it were a rule."""

    # the critic
    recall: float = 0.65
    """Chance that the cause of a mistake is named."""
    relay: float = 0.9
    """Chance that a cause which another critic has named is passed on."""
    misread: float = 0.1
    """Chance that a named cause names a wrong colour."""
    spurious: float = 0.25
    """Chance of advice that has nothing to do with the mistake."""
    lure: float = 0.1
    """Chance of advice that holds for this very item only."""
    scope: float = 0.03
    """Chance that the advice is tied to the item's city."""
    blame: float = 0.1
    """Chance that the wrong module is blamed."""
    format_recall: float = 0.15
    """Chance that a bad form of answer is noticed."""

    # the rewriter
    adds: int = 2
    """Rules that it adds or changes at most."""
    insight: float = 0.4
    """Chance that it finds a cause itself, in an example without advice."""
    forget: float = 0.04
    """Chance that a line is lost when the whole prompt is written anew."""
    patch_forget: float = 0.004
    """Chance that a line is lost when only edits are written."""
    misplace: float = 0.04
    """Chance that an edit hits another line than it should."""
    collapse: float = 0.01
    """Chance that half of the lines are lost."""
    drift: float = 0.01
    """Chance that a line becomes too vague to follow."""
    contradict: float = 0.05
    """Chance that an outdated line stays beside the one that replaces it."""
    heed: float = 0.7
    """Chance that it does not repeat what it is told has failed."""
    break_form: float = 0.03
    """Chance that the answer cannot be used."""


_BASE: Final = Physics()

PRESETS: Final[Mapping[str, Physics]] = MappingProxyType(
    {
        "null": replace(_BASE, known=True, slip=0.12),
        "easy": _BASE,
        "forgetful": replace(_BASE, forget=0.15, patch_forget=0.03, collapse=0.06),
        "noisy-critic": replace(
            _BASE, recall=0.4, misread=0.3, spurious=0.6, lure=0.2, insight=0.25
        ),
        "many-rules": replace(
            _BASE, rules=24, capacity=14, dilution=0.06, train=60, val=60
        ),
        "conflict": replace(_BASE, conflicts=5, scope=0.4, train=60, val=60),
        "two-module": replace(_BASE, desks=2, rules=14, blame=0.25),
        "tiny-train": replace(_BASE, train=8, val=12, lure=0.4),
        "seed-trap": replace(_BASE, trap=True, format_recall=0.03),
        "weak-rewriter": replace(
            _BASE, break_form=0.35, misplace=0.2, drift=0.06, adds=1, forget=0.08
        ),
        "score-only": replace(_BASE, rules=8, variants=3, reveal="score"),
    }
)
"""The worlds of every comparison; all are reported, never one."""


def held_out(count: int = 4, seed: int = 20_261_123) -> dict[str, Physics]:
    """Draw worlds that nobody has tuned on, for the final comparison only."""
    rng = random.Random(seed)
    return {f"held-out-{number + 1}": _drawn(rng) for number in range(count)}


def _drawn(rng: random.Random) -> Physics:
    return Physics(
        rules=rng.randint(6, 20),
        variants=rng.randint(3, 6),
        zipf=rng.uniform(0.4, 1.2),
        shift=rng.choice((0.0, 0.0, 0.25)),
        train=rng.choice((20, 40, 80)),
        val=rng.choice((30, 50, 80)),
        slip=rng.uniform(0.01, 0.12),
        item_share=rng.uniform(0.3, 0.8),
        capacity=rng.randint(12, 30),
        recall=rng.uniform(0.4, 0.9),
        misread=rng.uniform(0.02, 0.25),
        spurious=rng.uniform(0.05, 0.5),
        lure=rng.uniform(0.0, 0.2),
        adds=rng.randint(1, 5),
        insight=rng.uniform(0.2, 0.8),
        forget=rng.uniform(0.01, 0.1),
        patch_forget=rng.uniform(0.002, 0.03),
        misplace=rng.uniform(0.0, 0.15),
        break_form=rng.uniform(0.0, 0.2),
    )
