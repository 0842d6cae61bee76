"""Screens: who is evaluated further."""

from __future__ import annotations

import pytest

from afnio.errors import InputTypeError, InputValueError
from afnio.optim.screens import UCB, Halving, Screen


def run(screen, truth, blocks, wanted):
    """Return who is kept and how many evaluations it took; scores are the truth."""
    seen = {number: [] for number in truth}
    pulls = 0
    while numbers := screen.pulls(seen, blocks, wanted):
        assert len(set(numbers)) == len(numbers)
        for number in numbers:
            seen[number].append(truth[number])
            pulls += 1
        assert max(map(len, seen.values())) <= blocks
    return screen.keep(seen, wanted), pulls


TRUTH = {0: 0.1, 1: 0.9, 2: 0.5, 3: 0.8, 4: 0.0, 5: 0.2}


@pytest.mark.parametrize("screen", [UCB(), UCB(share=1.0), Halving(), Halving(0.3)])
def test_the_best_are_kept_at_less_than_full_cost(screen):
    """Never more than everything, the best first."""
    kept, pulls = run(screen, TRUTH, 5, 2)
    assert kept == [1, 3]
    assert len(TRUTH) <= pulls <= 5 * len(TRUTH)


def test_share_bounds_what_a_bandit_spends():
    """Half of all evaluations, and a third of them."""
    assert run(UCB(share=0.5), TRUTH, 6, 2)[1] == 18
    assert run(UCB(share=0.34), TRUTH, 6, 2)[1] == 13


def test_explore_looks_at_what_was_seen_little():
    """Without it, the first block decides where to look."""
    seen = {0: [0.5, 0.5, 0.5], 1: [0.4]}
    greedy, curious = UCB(explore=0.0, share=1.0), UCB(explore=2.0, share=1.0)
    seen[2] = [0.0]
    assert greedy.pulls(seen, 9, 1) == [0]
    assert curious.pulls(seen, 9, 1) == [1]


def test_halving_lets_a_share_through():
    """Of six: three, then two."""
    seen = {number: [score] for number, score in TRUTH.items()}
    assert sorted(Halving(0.5).pulls(seen, 5, 1)) == [1, 2, 3]
    assert len(Halving(0.9).pulls(seen, 5, 1)) == 6


def test_the_newest_of_equals_is_kept():
    """By number."""
    for screen in (UCB(), Halving()):
        assert run(screen, {0: 0.5, 1: 0.5, 2: 0.5}, 3, 1)[0] == [2]


def test_options_are_checked():
    """Shares lie between 0 and 1."""
    assert isinstance(UCB(), Screen)
    for make in (lambda: UCB(share=0), lambda: Halving(1.0), lambda: Halving(0)):
        with pytest.raises(InputValueError, match="share"):
            make()
    with pytest.raises(InputTypeError, match="explore"):
        UCB(explore="much")
