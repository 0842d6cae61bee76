"""Tests of find_overlap(near=…): samples that are nearly the same."""

import pytest

from afnio import Variable
from afnio.errors import InputValueError
from afnio.utils.data import find_overlap

LONG = "Please send someone to repair the lift in house {} before Monday morning."


def test_small_changes_are_found():
    """Another number, case or punctuation is nearly the same; another text is not."""
    mine = [LONG.format(4), "The carpets are clean, thank you."]
    theirs = ["Who was that?", LONG.format(7).upper(), "The windows are clean."]
    assert find_overlap(mine, theirs) == []
    assert find_overlap(mine, theirs, near=0.5) == [(0, 1)]
    assert find_overlap(mine, theirs, near=1) == []


def test_what_is_the_same_is_near_too():
    """Also texts of less than three words, and empty ones."""
    assert find_overlap(["Hi", ""], ["Hi", ""], near=0.9) == [(0, 0), (1, 1)]


def test_samples_are_compared_by_what_they_say():
    """Variables and tuples count by their data, or by a key."""
    mine = [(Variable(LONG.format(4), "a role"), "yes")]
    theirs = [(Variable(LONG.format(4) + " Now!", "another"), "no")]
    assert find_overlap(mine, theirs, near=0.6) == [(0, 0)]
    assert find_overlap(mine, theirs, key=lambda pair: pair[1], near=0.6) == []


@pytest.mark.parametrize("near", [0, -1, 1.1, "0.5"])
def test_shares_are_checked(near):
    """Above 0 and up to 1."""
    with pytest.raises(InputValueError, match="near"):
        find_overlap(["a"], ["b"], near=near)
