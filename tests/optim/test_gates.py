"""Gates: decisions on paired scores, and their statistics."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import Variable
from afnio.autodiff.evidence import Evidence
from afnio.errors import InputTypeError, InputValueError
from afnio.optim import gates
from afnio.optim._statistics import paired_interval, sign_test, wilson

WORSE, EVEN, BETTER = [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0]
PARENT = [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("gate", "even", "worse", "better"),
    [
        (gates.Always(), True, True, True),
        (gates.Improve(), False, False, True),
        (gates.Improve(ties="newest"), True, False, True),
        (gates.ValRevert(), True, False, True),
        (gates.ValRevert(ties="parent"), False, False, True),
        (gates.ValRevert(tolerance=0.25), True, True, True),
        (gates.Margin(0.25), False, False, True),
        (gates.Margin(0.3), False, False, False),
        (gates.Race(), True, False, True),
        (gates.Race(ties="parent"), False, False, True),
        (gates.TwoStage(n=2), True, False, True),
        (gates.TwoStage(n=2, then=gates.Improve()), False, False, True),
        (gates.Anneal(temperature=0.0), True, False, True),
        (gates.Anneal(temperature=1e9), True, True, True),
        (gates.NonInferior(2.0), True, True, True),
        (gates.NonInferior(0.0), False, False, False),
    ],
)
def test_each_gate_decides_by_its_own_rule(gate, even, worse, better):
    """Equal, worse and better candidates, for every option of every gate."""
    found = [
        gate.decide(PARENT, candidate).accepted
        for candidate in (EVEN, [0, 0, 1, 0], BETTER)
    ]
    assert found == [even, worse, better]
    assert isinstance(gate, gates.Gate)


def test_a_decision_carries_its_evidence():
    """Difference, interval, counts and p-value stand in the record."""
    decision = gates.Improve().decide([0, 0, 1, 1], [1, 1, 0, 1])
    assert (decision.difference, decision.n) == (0.25, 4)
    assert (decision.wins, decision.losses, decision.p) == (2, 1, 0.5)
    assert decision.interval[0] < 0.25 < decision.interval[1]
    assert "+0.250" in decision.reason


def test_confidence_changes_what_non_inferior_accepts():
    """The same scores pass at 80 % and fail at 99 %."""
    parent, candidate = [0, 1] * 10, [1, 1] * 5 + [0, 1] * 5
    low = paired_interval(parent, candidate, 0.99)[0]
    delta = -low - 0.001
    assert (
        not gates.NonInferior(delta, confidence=0.99).decide(parent, candidate).accepted
    )
    assert gates.NonInferior(delta, confidence=0.8).decide(parent, candidate).accepted


def test_scores_must_be_of_the_same_samples():
    """Different lengths, or none at all, are an error that says so."""
    with pytest.raises(InputValueError, match="same samples"):
        gates.Always().decide([1, 0], [1])
    with pytest.raises(InputValueError, match="same samples"):
        gates.Improve().decide([], [])


def test_impossible_options_are_refused():
    """At construction, naming the option."""
    with pytest.raises(InputValueError, match="ties"):
        gates.Improve(ties="oldest")
    with pytest.raises(InputValueError, match="alpha"):
        gates.Race(alpha=2)
    with pytest.raises(InputValueError, match="block"):
        gates.Race(block=0)
    with pytest.raises(InputValueError, match="delta"):
        gates.Margin(-1)
    with pytest.raises(InputTypeError, match="block"):
        gates.Race(block="8")
    with pytest.raises(InputTypeError, match="delta"):
        gates.Margin("0.1")
    with pytest.raises(InputValueError, match="behind"):
        gates.Race(behind=0)
    with pytest.raises(InputTypeError, match="first"):
        gates.TwoStage(first="strict")
    with pytest.raises(InputValueError, match="cooling"):
        gates.Anneal(cooling=2)


def test_a_race_stops_early_both_ways():
    """Eight wins or eight losses in the first block settle it."""
    zeros, ones = [0] * 8, [1] * 8
    race = gates.Race(block=8, alpha=0.1)
    won, lost = race.early(zeros, ones, 16), race.early(ones, zeros, 16)
    assert won.accepted
    assert not lost.accepted
    assert "8 of 16" in won.reason


def test_block_and_alpha_decide_when_a_race_stops():
    """A stricter alpha and a larger block both make it go on."""
    zeros, ones = [0] * 8, [1] * 8
    assert gates.Race(block=8, alpha=0.001).early(zeros, ones, 16) is None
    assert gates.Race(block=16, alpha=0.1).early(zeros, ones, 32) is None
    assert gates.Race(block=8, alpha=0.1).early(zeros, [0, 1] * 4, 16) is None


def test_a_race_gives_up_on_who_falls_behind():
    """Two more losses than wins are no proof, but reason enough to stop paying."""
    parent, candidate = [1, 1, 1, 0, 1, 1, 1, 1], [0, 0, 1, 0, 1, 1, 1, 1]
    assert gates.Race(block=8).early(parent, candidate, 16) is None
    assert gates.Race(block=8, behind=3).early(parent, candidate, 16) is None
    lost = gates.Race(block=8, behind=2).early(parent, candidate, 16)
    assert not lost.accepted
    assert lost.reason == "given up after 8 of 16: 0 wins, 2 losses"
    assert gates.Race(block=8, behind=2).early(candidate, parent, 16) is None


def test_two_stages_cost_as_much_as_the_first_if_it_refuses():
    """``n``, ``first`` and ``then`` all count."""
    parent, candidate = [1, 0, 1, 1], [0, 1, 1, 1]
    gate = gates.TwoStage(n=1)
    refused = gate.early(parent, candidate, 4)
    assert (refused.accepted, refused.n) == (False, 1)
    assert refused.reason.startswith("first 1 of 4: ")
    assert gates.TwoStage(n=2).early(parent, candidate, 4) is None
    assert gates.TwoStage(n=1, first=gates.Always()).early([1], [0], 4) is None
    assert gates.TwoStage(n=3).early([1, 1], [0, 0], 4) is None
    assert gates.TwoStage(n=4).early(parent, candidate, 4) is None
    race = gates.TwoStage(n=2, then=gates.Race(block=8))
    assert race.early([0] * 8, [1] * 8, 16).accepted


def test_annealing_cools_down():
    """The same loss is accepted less and less often; the draw can be repeated."""
    parent = [1] * 40
    worse = [[1] * n + [0] + [1] * (39 - n) for n in range(40)]

    def accepted(gate):
        return sum(gate.decide(parent, scores).accepted for scores in worse)

    gate = gates.Anneal(temperature=0.05, cooling=0.7)
    counts = [accepted(gate.at(step)) for step in (0, 1, 6)]
    assert counts == [accepted(gate.at(step)) for step in (0, 1, 6)]
    assert 40 > counts[0] > counts[1] > counts[2]
    slow = accepted(gates.Anneal(0.05, cooling=1.0).at(6))
    assert slow > counts[2]
    other = gates.Anneal(temperature=0.05, cooling=0.7, seed=1)
    rulings = [gate.decide(parent, scores).accepted for scores in worse]
    assert rulings != [other.decide(parent, scores).accepted for scores in worse]
    assert "temperature 0.05" in gate.decide(parent, worse[0]).reason


def test_an_early_winner_is_not_overturned_by_later_samples():
    """On given scores, decide stops where a live race would have."""
    parent, candidate = [0] * 8 + [1] * 9, [1] * 8 + [0] * 9
    assert gates.Race(block=8).decide(parent, candidate).accepted
    assert not gates.Improve().decide(parent, candidate).accepted


def test_the_sign_test_is_exact():
    """Values that can be worked out by hand."""
    assert sign_test(5, 0) == 1 / 32
    assert sign_test(1, 1) == 0.75
    assert sign_test(0, 0) == 1.0


def test_intervals_agree_with_published_ones():
    """Wilson on 15 of 148, and Newcombe's method 10 on a table of 36, 12, 2 and 0."""
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    first = [1] * 36 + [1] * 12 + [0] * 2
    second = [1] * 36 + [0] * 12 + [1] * 2
    assert paired_interval(second, first) == pytest.approx((0.0569, 0.3404), abs=1e-4)


scores = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(scores)
def test_intervals_of_binary_scores_hold_the_difference(pairs):
    """Within -1 and 1, around the estimate, and mirrored when the sides change."""
    parent, candidate = map(list, zip(*pairs, strict=True))
    low, high = paired_interval(parent, candidate)
    difference = gates.Always().decide(parent, candidate).difference
    assert -1 <= low <= difference + 1e-9
    assert difference - 1e-9 <= high <= 1
    mirrored = paired_interval(candidate, parent)
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)


def test_the_bootstrap_is_deterministic():
    """Scores that are not 0 or 1 give the same interval every time."""
    parent, candidate = [0.1, 0.5, 0.3], [0.2, 0.9, 0.3]
    first = paired_interval(parent, candidate)
    assert first == paired_interval(parent, candidate)
    assert first[0] <= 1 / 6 <= first[1]


def test_many_pairs_get_a_normal_interval_like_the_bootstrap_s():
    """From 2,000 pairs on nothing is resampled; the interval hardly differs."""
    rng = random.Random(1)
    parent = [rng.random() for _ in range(2_000)]
    candidate = [p + rng.gauss(0.01, 0.2) for p in parent]
    many = paired_interval(parent, candidate)
    fewer = paired_interval(parent[:-1], candidate[:-1])
    assert many == pytest.approx(fewer, abs=1e-3)
    same = paired_interval(parent, [p + 0.5 for p in parent])
    assert same == pytest.approx((0.5, 0.5))


def score(data, scores=()):
    """Return a score Variable with evidence."""
    result = Variable(data)
    result.evidence = tuple(Evidence(index=i, score=s) for i, s in enumerate(scores))
    return result


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (0.5, [0.5]),
        (score(0.5), [0.5]),
        (score([1, 0]), [1, 0]),
        (score(0.5, [True, False]), [1, 0]),
        ((score(1), Variable("well done")), [1]),
        ({"loss": (score(1, [1, 1]), Variable("x")), "accuracy": 3}, [1, 1]),
        ([{"loss": score(1)}, (score(0.0, [0, 1]), None)], [1, 0, 1]),
        ([1, None], [1, None]),
    ],
)
def test_every_kind_of_closure_result_gives_sample_scores(result, expected):
    """Evidence first, else data; pairs, dicts and lists are flattened in order."""
    assert gates.sample_scores(result) == expected


@pytest.mark.parametrize("result", ["good", {"accuracy": 1}, score("good")])
def test_results_without_scores_are_refused(result):
    """The message says what a closure should return."""
    with pytest.raises(InputTypeError, match="closure"):
        gates.sample_scores(result)


def test_a_race_can_be_won_by_a_lead():
    """The lead counts at looks only, and says that it is no proof."""
    gate = gates.Race(ahead=2)
    parent, candidate = [0] * 16, [1, 1] + [0] * 14
    decision = gate.early(parent[:8], candidate[:8], 16)
    assert decision.accepted
    assert decision.reason == "ahead after 8 of 16: 2 wins, 0 losses"
    assert gate.early(parent[:7], candidate[:7], 16) is None
    assert gates.Race(ahead=3).early(parent[:8], candidate[:8], 16) is None
    assert gates.Race().early(parent[:8], candidate[:8], 16) is None
    with pytest.raises(InputValueError, match="ahead"):
        gates.Race(ahead=0)
