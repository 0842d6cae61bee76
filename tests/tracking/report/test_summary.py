"""A run's summary, read back from its events."""

from made_up import decision, look, step, usage, write_run

from afnio.tracking.report import read_summary


def values(at, **data):
    """Return a snapshot of parameters."""
    items = [{"name": n, "role": f"the {n}", "data": d} for n, d in data.items()]
    names = list(data)
    return "parameters", {
        "step": at,
        "values": items,
        "optimizers": [{"name": "TGD", "parameters": names}],
    }


def test_reads_as_the_trainer_prints(tmp_path):
    """Looks, changes, decisions and costs are those of the events."""
    events = [
        look([0, 0, 1, 0]),
        ("fit_start", {"monitor": "val_loss", "higher_is_better": True}),
        values(0, task="Be kind."),
        decision(1),
        step(1),
        values(1, task="Be brief."),
        ("epoch", {"step": 1, "metrics": {"val_loss": 0.75}}),
        ("fit_end", {"stop_reason": "max_steps=1 is reached", "best_path": "b.json"}),
        look([1, 1, 1, 0], at=1),
        usage(1, 9, 0.5, forward={"calls": 9, "cost_usd": 0.5, "odd": 1}),
    ]
    found = read_summary(write_run(tmp_path / "run", events))
    assert [each.score for each in found.looks] == [0.25, 0.75]
    assert found.difference.mean == 0.5
    (change,) = found.parameters
    assert (change.name, change.role) == ("task", "the task")
    assert (change.before, change.after) == ("Be kind.", "Be brief.")
    assert (found.steps, found.epochs, found.best_score) == (1, 1, 0.75)
    assert found.usage["forward"].calls == 9
    text = str(found)
    assert "step 1 TGD 0 (prompt) accepted: mean difference +0.500" in text
    assert "Stopped: max_steps=1 is reached" in text
    assert "Best: b.json" in text


def test_what_was_kept_counts_until_a_snapshot(tmp_path):
    """A run that crashed before its next snapshot still shows what it changed."""
    events = [
        values(0, task="Be kind.", other="x"),
        decision(1, after="Be brief."),
        step(1),
        decision(2, before="Be brief.", after="No.", accepted=False),
        step(2),
    ]
    found = read_summary(write_run(tmp_path / "run", events))
    assert {p.name: p.after for p in found.parameters} == {
        "task": "Be brief.",
        "other": "x",
    }


def test_a_snapshot_overrules_what_was_kept_before(tmp_path):
    """When the best values are loaded again, they are the last ones."""
    events = [
        values(0, task="Be kind."),
        decision(1, after="Be brief."),
        step(1),
        values(1, task="Be kind."),
    ]
    (change,) = read_summary(write_run(tmp_path / "run", events)).parameters
    assert (change.before, change.after) == ("Be kind.", "Be kind.")


def test_parameters_are_known_by_role_without_snapshots(tmp_path):
    """Runs of an older kind only have their decisions."""
    (change,) = read_summary(write_run(tmp_path / "run", [decision(1)])).parameters
    assert (change.name, change.before, change.after) == (
        "prompt",
        "Be kind.",
        "Be brief.",
    )


def test_lower_may_be_better(tmp_path):
    """The best value is then the lowest."""
    events = [
        ("fit_start", {"monitor": "val_loss", "higher_is_better": False}),
        ("epoch", {"step": 1, "metrics": {"val_loss": 0.5}}),
        ("epoch", {"step": 2, "metrics": {"val_loss": 0.75}}),
    ]
    found = read_summary(write_run(tmp_path / "run", events))
    assert (found.best_score, found.higher_is_better) == (0.5, False)


def test_two_optimizers_of_one_class_are_told_apart(tmp_path):
    """Both count their parameters from 0; the role says whose a change is."""
    events = [
        values(0, task="Be kind.", style="x"),
        (
            "parameters",
            {
                "optimizers": [
                    {"name": "TGD", "parameters": ["task"]},
                    {"name": "TGD", "parameters": ["style"]},
                ]
            },
        ),
        decision(1, change={"role": "the task"}, before="Be kind.", after="A"),
        decision(1, change={"role": "the style"}, before="x", after="B"),
        step(1),
    ]
    events[0][1].pop("optimizers")
    found = read_summary(write_run(tmp_path / "run", events))
    assert {p.name: p.after for p in found.parameters} == {"task": "A", "style": "B"}
