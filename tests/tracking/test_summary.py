"""The summary of a run: its facts, and its looks."""

import io
import json

import pytest
from rich.console import Console

from afnio.tracking import Summary
from afnio.tracking.summary import (
    DecisionLine,
    ParameterChange,
    RoleUsage,
    TestLook,
    look_from,
)


def look(*scores, step=0, sample_set="s"):
    """Return a look at the test set."""
    interval = (0.25, 0.75) if scores else None
    return TestLook(
        score=sum(scores) / max(1, len(scores)),
        samples=len(scores),
        step=step,
        interval=interval,
        metrics={"test_loss": 9.0, "test_accuracy": 0.5},
        scores=scores,
        sample_set=sample_set,
    )


BEFORE = look(0, 0, 0, 0, 1, 0, 0, 0)
AFTER = look(1, 1, 1, 1, 1, 0, 1, 1, step=4)
FULL = Summary(
    looks=(BEFORE, AFTER),
    parameters=(
        ParameterChange(name="p", role="prompt", before="Be kind.", after="Be [b]."),
        ParameterChange(name="d", role="demos", before=[], after=[["cat", "cats"]]),
        ParameterChange(name="q", role="other", before="x", after="x"),
    ),
    decisions=(
        DecisionLine(
            optimizer="TGD",
            step=1,
            candidate=0,
            accepted=True,
            reason="better",
            roles=("prompt",),
        ),
        DecisionLine(
            optimizer="TGD", step=2, candidate=0, accepted=False, reason="worse"
        ),
    ),
    usage={
        "forward": RoleUsage(calls=10, input_tokens=2000, seconds=1.5, cost_usd=0.5),
        "judge": RoleUsage(),
        "test": RoleUsage(calls=5, cached_calls=1, seconds=0.5, cost_usd=0.25),
    },
    seconds={"fit": 12.0},
    epochs=1,
    steps=4,
    monitor="val_loss",
    best_score=0.75,
    stop_reason="max_steps=4 is reached",
    best_path="runs/x/best.json",
)


BOUNDS = "[{:+.3f}, {:+.3f}]".format(*FULL.difference.interval)


def test_text_tells_everything():
    """Scores with intervals, the change, diffs, decisions, calls, files."""
    assert str(FULL).splitlines() == [
        "Test score: mean per sample (95 % intervals)",
        "  before  0.125 [0.250, 0.750]  8 samples, after 0 steps, accuracy 0.5",
        "  after   0.875 [0.250, 0.750]  8 samples, after 4 steps, accuracy 0.5",
        f"  change  +0.750 {BOUNDS}  paired: 6 better, 0 worse, 2 equal",
        "",
        "Parameters",
        "  p (prompt): rewritten",
        "    -Be kind.",
        "    +Be [b].",
        "  d (demos): 1 row added, 0 removed",
        "    +cat -> cats",
        "  q (other): unchanged",
        "",
        "Decisions: 1 accepted, 1 rejected",
        "  step 1 TGD 0 (prompt) accepted: better",
        "  step 2 TGD 0 rejected: worse",
        "",
        "Model calls",
        "  role     calls  cached  failed  tokens in  tokens out     cost  seconds",
        "  forward     10       0       0      2,000           0  $0.5000      1.5",
        "  test         5       1       0          0           0  $0.2500      0.5",
        "  total       15       1       0      2,000           0  $0.7500         ",
        "Wall-clock time: fit 12.0 s",
        "",
        "Fit: 1 epoch, 4 steps, best val_loss 0.75",
        "Stopped: max_steps=4 is reached",
        "Best: runs/x/best.json",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_rich_shows_the_same_in_colour(terminal):
    """Nothing in it is read as markup; without a terminal it is the text itself."""
    file = io.StringIO()
    colours = "truecolor" if terminal else None
    console = Console(
        file=file, width=120, force_terminal=terminal, color_system=colours
    )
    console.print(FULL)
    shown = file.getvalue()
    assert ("\x1b[32m    +Be [b].\x1b[0m" in shown) == terminal
    if not terminal:
        assert [line.rstrip() for line in shown.splitlines()] == [
            line.rstrip() for line in str(FULL).splitlines()
        ]


def test_data_is_complete_and_json():
    """Programs get what the text leaves out."""
    found = json.loads(json.dumps(FULL.to_dict()))
    assert found["difference"]["higher"] == 6
    assert found["parameters"][0]["diff"] == ["-Be kind.", "+Be [b]."]
    assert found["looks"][1]["scores"] == list(AFTER.scores)
    assert found["usage"]["forward"]["calls"] == 10


def test_the_change_is_paired():
    """It is last minus first, with an interval that knows of the pairs."""
    found = FULL.difference
    assert (found.mean, found.higher, found.lower, found.samples) == (0.75, 6, 0, 8)
    assert 0 < found.interval[0] < 0.75 < found.interval[1]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (BEFORE, look(1, 1, sample_set="other")),
        (look(0, 1, sample_set=""), look(0, 1, sample_set="")),
        (look(), look()),
    ],
)
def test_looks_at_other_samples_are_not_paired(first, last):
    """The text says so, and shows the change without an interval."""
    summary = Summary(looks=(first, last))
    assert summary.difference is None
    assert "not paired" in str(summary)


def test_more_looks_than_two_are_remarked():
    """Whoever looks often picks."""
    text = str(Summary(looks=(BEFORE, BEFORE, AFTER)))
    assert "look 2 " in text
    assert "3 looks at the test set" in text


def test_lower_may_be_better():
    """Then a fall is called better, and a rise worse."""
    text = str(Summary(looks=(AFTER, BEFORE), higher_is_better=False))
    assert "lower is better" in text
    assert "6 better, 0 worse, 2 equal" in text


def test_nothing_to_say():
    """An untouched Trainer has a summary too."""
    assert str(Summary()) == "The test set was not looked at."
    assert str(Summary(looks=(BEFORE,))).count("once") == 1


def test_many_rejections_are_cut_and_said():
    """All accepted candidates are shown, and some of the others."""

    def decision(number, *, accepted):
        return DecisionLine(
            optimizer="O",
            step=number,
            candidate=0,
            accepted=accepted,
            reason="r",
            roles=("p",),
        )

    many = tuple(decision(n, accepted=n == 30) for n in range(1, 31))
    text = str(Summary(decisions=many))
    assert "Decisions: 1 accepted, 29 rejected" in text
    assert "step 30 O 0 (p) accepted" in text
    assert "step 5 O" not in text
    assert "[25 more rejected ones cut here" in text


def test_parts_of_an_accepted_candidate_are_not_rejected():
    """Their lines are in the program; the last comparison is no further change."""

    def decision(number, reason, *, accepted=False, roles=("p",)):
        return DecisionLine(
            optimizer="O",
            step=1,
            candidate=number,
            accepted=accepted,
            reason=reason,
            roles=roles,
        )

    lines = str(
        Summary(
            decisions=(
                decision(1, "part of candidate 3"),
                decision(2, "worse"),
                decision(3, "better", accepted=True),
                decision(3, "clear gain", accepted=True, roles=()),
            )
        )
    ).splitlines()
    assert lines[2:] == [
        "Decisions: 1 accepted, 1 part of those, 1 rejected",
        "  step 1 O 1 (p) in candidate 3",
        "  step 1 O 2 (p) rejected: worse",
        "  step 1 O 3 (p) accepted: better",
        "  step 1 O 3 returned: clear gain",
    ]


def test_a_look_without_sample_scores_has_the_metric():
    """Evaluators that note no samples leave the mean that the step returned."""
    found = look_from({"metrics": {"test_loss": 2.0}, "samples": 3, "step": 1})
    assert (found.score, found.interval, found.scores) == (2.0, None, ())


def test_usage_adds_up():
    """Sums and differences go field by field."""
    one = RoleUsage(calls=2, input_tokens=5, cost_usd=0.5)
    assert one + one - one == one
