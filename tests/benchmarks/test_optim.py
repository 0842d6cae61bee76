"""The comparison: its statistics, its runs, its tables."""

from __future__ import annotations

import math

import pytest

from benchmarks import _optim_stats as stats
from benchmarks._optim_race import race_loop
from benchmarks._optim_rows import OPTIMIZERS
from benchmarks._optim_stats import Arrival
from benchmarks._optim_table import (
    arrival,
    below_seed,
    compare,
    grouped,
    load,
    save,
    show,
    summary,
)
from benchmarks._optim_task import Plan, Run, run
from benchmarks.optim import SEALED, main, parsed, plans
from benchmarks.simworld import PRESETS, Physics


def plan(name="x", seed=0, budget=300, preset="easy"):
    """Return a small plan."""
    return Plan(preset, PRESETS[preset], name, seed, budget)


def made(curve, **values):
    """Return a run with this curve, from 0.2 to at best 0.8."""
    return Run(
        plan=plan(**values),
        curve=curve,
        seed_accuracy=0.2,
        oracle=0.8,
        calls={"forward": 10},
        prompts=("p",),
        seconds=0.1,
        changed=True,
    )


def test_kaplan_meier_medians_of_known_samples():
    """Runs that never arrive count as long as they were watched."""
    assert stats.km_median([Arrival(c, reached=True) for c in (1, 2, 3)]) == 2
    half = [Arrival(5, reached=True), Arrival(9, reached=False)]
    assert stats.km_median(half) == 5
    some = [Arrival(6, reached=True)] * 3 + [Arrival(6, reached=False)]
    late = [Arrival(10, reached=True), Arrival(11, reached=False)] * 3
    assert stats.km_median([*some, *late]) == 10  # 0.7 after 6, then 0.35
    assert math.isinf(stats.km_median([Arrival(9, reached=False)] * 3))


def test_expected_running_time_charges_failures():
    """All calls are divided by the successes."""
    runs = [Arrival(100, reached=True), Arrival(300, reached=False)]
    assert stats.expected_running_time(runs) == 400
    assert math.isinf(stats.expected_running_time([Arrival(300, reached=False)]))


def test_holm_steps_down():
    """Adjusted values are multiplied by what is left, and never fall."""
    found = stats.holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert found == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert stats.holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


def test_sign_test_and_improvement_of_pairs():
    """Ties are left out of the test and count half for the improvement."""
    ours, theirs = [1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]
    assert stats.sign_test(ours, theirs) == pytest.approx(2 / 32)
    assert stats.improvement(ours, theirs) == pytest.approx(5.5 / 6)
    assert stats.sign_test([0.0], [0.0]) == 1.0


def test_intervals_cover_and_shrink():
    """The interval of a mean holds it, and is narrower with more runs."""
    few, many = [0.0, 1.0] * 5, [0.0, 1.0] * 100
    low, high = stats.bootstrap(few)
    assert low < 0.5 < high
    assert stats.bootstrap(many)[0] > low
    assert stats.stratified_bootstrap([many, many])[0] > 0.3
    assert stats.iqm([0, 0, 1, 1, 1, 1, 9, 9]) == 1
    assert stats.decile(range(20)) == 0.5


def test_false_gains_have_a_limit_set_by_chance():
    """Out of 20 runs that are false with 5 %, chance makes 3 at most."""
    assert stats.false_gain_rate(0.05, 20) == 3 / 20


def test_a_target_counts_when_it_is_kept():
    """A prompt that is good for a while only has not arrived; a first hit may."""
    run_ = made(((0, 0.2), (50, 0.75), (90, 0.3), (120, 0.7)))
    assert arrival(run_, 0.8) == Arrival(120, reached=True)
    assert arrival(run_, 0.8, kept=False) == Arrival(50, reached=True)
    assert arrival(run_, 0.9) == Arrival(300, reached=False)
    assert not below_seed(run_)
    assert below_seed(made(((0, 0.2), (9, 0.1))))


def test_tables_and_files_show_every_figure(tmp_path, capsys):
    """Two optimizers in two worlds: figures, pairs, and a file that can be read."""
    runs = [
        made(((0, 0.2), (90 + seed, value)), name=name, seed=seed, preset=preset)
        for preset in ("easy", "null")
        for seed in range(6)
        for name, value in (("ours", 0.75), ("theirs", 0.5))
    ]
    by_name = grouped(runs)["easy"]
    figures = summary(by_name["ours"])
    assert figures["calls_to"][0.8] == 92
    assert figures["reached_80"] == 1
    found = compare(by_name, "ours")
    assert found["theirs"]["difference"] == pytest.approx(-0.3125)
    assert found["theirs"]["p_holm"] == pytest.approx(2 / 64)
    show(runs, "ours")
    shown = capsys.readouterr().out
    assert "null: 6 seeds, 300 calls" in shown
    assert "would be by chance" in shown
    assert "all presets but null" in shown
    assert "0.94, 92" in shown


def test_saved_runs_are_shown_again(tmp_path, capsys):
    """What was written is read back as it was, from several files too."""
    runs = [made(((0, 0.2), (90, 0.75)), name="ours", seed=seed) for seed in range(3)]
    others = [made(((0, 0.2), (40, 0.5)), name="theirs", seed=n) for n in range(3)]
    for name, some in (("a", runs), ("b", others)):
        save(some, "ours", tmp_path / f"{name}.json")
    assert load(tmp_path / "a.json") == runs
    main(["--show", str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    shown = capsys.readouterr().out
    assert "easy: 3 seeds, 300 calls" in shown
    assert "theirs" in shown


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["NoOp", "TGD", "race-loop"])
def test_a_run_spends_its_calls_and_no_more(name):
    """All roles share one budget, and a run in the same world is the same run."""
    first = run(plan(name), OPTIMIZERS[name])
    assert sum(first.calls.values()) == (0 if name == "NoOp" else 300)
    assert first.curve[0] == (0, first.seed_accuracy)
    again = run(plan(name), OPTIMIZERS[name])
    assert (first.curve, first.prompts) == (again.curve, again.prompts)


def test_the_loop_by_hand_learns_and_keeps_the_seed_where_nothing_can_be_learned():
    """It is a yardstick because it works."""
    assert run(plan(budget=800), race_loop).final > 0.3


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_row_runs():
    """No preset needs more than its line in the table."""
    for name, drive in OPTIMIZERS.items():
        small = Plan("easy", Physics(train=6, val=6, test=10), name, 1, 60)
        assert run(small, drive).plan.optimizer == name


def test_options_say_what_is_run(capsys):
    """Seeds, sealed seeds, worlds and physics; unknown names leave with a message."""
    wanted = plans(parsed(["--preset", "easy;null", "--seeds", "3", "--set", "adds=1"]))
    assert len(wanted) == 2 * 3 * len(OPTIMIZERS)
    assert {p.physics.adds for p in wanted} == {1}
    assert {p.seed for p in wanted} == {0, 1, 2}
    sealed = plans(parsed(["--sealed", "--seeds", "1", "--optimizer", "NoOp"]))
    assert {p.seed for p in sealed} == {SEALED}
    assert len(sealed) > len(PRESETS)
    for wrong in (["--preset", "esay"], ["--set", "recal=1"], ["--optimizer", "X"]):
        with pytest.raises(SystemExit, match="there are"):
            plans(parsed(wrong))
    with pytest.raises(SystemExit):
        parsed(["--seeds", "0"])
    with pytest.raises(SystemExit, match="install textgrad"):
        plans(parsed(["--peers", "nowhere"]))
    assert "not 1 or more" in capsys.readouterr().err
