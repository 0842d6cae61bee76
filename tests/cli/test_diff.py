"""``afnio diff``: prompts and scores of two things."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_helpers import cli, write_files

import afnio
from afnio import cognitive as cog
from afnio import tracking


class Agent(cog.Module):
    def __init__(self, text):
        super().__init__()
        self.prompt = cog.Parameter(text, role="prompt")
        self.other = cog.Parameter("the same", role="other")


def make_run(name, text, scores, sample_set="s", outputs=()):
    """Write a run with a checkpoint and a look at the test set."""
    run = tracking.init("me", "demo", name)
    (run.path / "checkpoints").mkdir()
    state = {"agent_state_dict": Agent(text).state_dict()}
    afnio.save(state, run.path / "checkpoints" / "best.json")
    if outputs:
        rows = [
            {"key": f"k{n}", "input": f"in {n}", "output": each, "score": score}
            for n, (each, score) in enumerate(zip(outputs, scores, strict=True))
        ]
        run.record("outcomes", stage="test", samples=rows)
        later = [{k: v for k, v in row.items() if k != "input"} for row in rows]
        run.record("outcomes", stage="test", samples=later)
    run.record("test", scores=scores, sample_set=sample_set, samples=len(scores))
    tracking.finish()


def test_runs_are_compared_by_prompts_and_paired_scores():
    """The diff of what changed, and the difference of the last looks."""
    make_run("one", "Be brief.\nBe kind.", [0.0, 0.0, 1.0])
    make_run("two", "Be brief.\nBe right.", [1.0, 0.0, 1.0])
    result = cli("diff", "runs/demo/one", "two")
    assert result.exit_code == 0
    assert "-Be kind.\n+Be right." in result.stdout
    assert "test score 0.333 -> 0.667, change +0.333" in result.stdout
    assert "3 paired samples: 1 up, 0 down" in result.stdout
    found = json.loads(cli("diff", "one", "two", "--json").stdout)
    assert list(found["prompts"]) == ["prompt"]
    assert (found["same"], found["scores"]["higher"]) == (1, 1)


def test_samples_that_changed_between_runs_are_shown():
    """With what went in and what came out, as far as the runs have it on record."""
    make_run("one", "a", [1.0, 1.0], outputs=["yes", "fine"])
    make_run("two", "a", [1.0, 0.0], outputs=["yes", "wrong"])
    result = cli("diff", "one", "two")
    assert "sample 1: 1 -> 0  in 1" in result.stdout
    assert "before fine\n    after  wrong" in result.stdout
    write_files()
    cli("eval", "agent.py", "data.jsonl", "-o", "one.json")
    assert "different kinds" in cli("diff", "one.json", "two").stderr


def test_looks_at_other_samples_are_not_paired():
    """Both scores are shown, and that they do not compare."""
    make_run("one", "a", [0.0])
    make_run("two", "a", [1.0], "t")
    assert "not paired" in cli("diff", "one", "two").stdout


def test_a_run_without_checkpoint_or_test_has_nothing_to_compare():
    """It is not an error: a run may just have begun."""
    tracking.init("me", "demo", "one")
    tracking.finish()
    make_run("two", "a", [1.0])
    assert cli("diff", "one", "two").exit_code == 0


def test_text_files_are_prompts():
    """Line by line."""
    Path("a.txt").write_text("one\ntwo\n")
    Path("b.md").write_text("one\nthree\n")
    assert "-two\n+three" in cli("diff", "a.txt", "b.md").stdout
    assert cli("diff", "a.txt", "a.txt").stdout == "1 equal\n"


def test_evaluations_are_compared_by_sample():
    """With the samples that changed."""
    write_files()
    cli("eval", "agent.py", "data.jsonl", "-o", "one.json")
    cli("eval", "agent.py:worse", "data.jsonl", "-o", "two.json")
    result = cli("diff", "one.json", "two.json")
    assert result.exit_code == 0
    assert "0 better, 1 worse, 2 equal" in result.stdout
    assert "before Rome\n    after  Milan" in result.stdout
    found = json.loads(cli("diff", "one.json", "two.json", "--json").stdout)
    assert found["scores"]["worse"] == 1


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ("text.txt", "different kinds"),
        ("none.json", "no run 'none.json'"),
        ("junk.json", "junk.json"),
        ("runs", "is not a run"),
    ],
)
def test_what_cannot_be_compared_is_refused(after, words):
    """Exit code 2 and a reason."""
    write_files()
    Path("runs").mkdir()
    Path("text.txt").write_text("a")
    Path("junk.json").write_text("{}")
    cli("eval", "agent.py", "data.jsonl", "-o", "one.json")
    result = cli("diff", "one.json", after)
    assert result.exit_code == 2
    assert words in result.stderr


def test_escape_sequences_in_prompts_stay_text():
    """A prompt cannot command the terminal."""
    Path("a.txt").write_text("one")
    Path("b.txt").write_text("\x1b[2Jtwo")
    result = cli("diff", "a.txt", "b.txt")
    assert "\x1b[2J" not in result.stdout
    assert "\\x1b[2Jtwo" in result.stdout
