"""The page: what it says, that it stands alone, and that any run can be read."""

import json
import re
from itertools import pairwise

import pytest
from made_up import Page, decision, look, outcomes, step, usage, write_run

from afnio import tracking
from afnio.errors import FileFormatError, InputTypeError
from afnio.tracking.report import read_summary, write_report

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


def page_of(path):
    """Write the report of a run and parse it."""
    return Page(write_report(path).read_text("utf-8"))


def full(path, **fields):
    """Write a run in which everything happened."""
    events = [
        outcomes(0, 0, 1, 0, input="a question", target="an answer"),
        look([0, 0, 1, 0]),
        ("fit_start", {"step": 0, "monitor": "val_loss", "higher_is_better": True}),
        (
            "parameters",
            {
                "step": 0,
                "values": [
                    {"name": "task", "role": "prompt", "data": "Be kind."},
                    {"name": "shots", "role": "examples", "data": []},
                ],
                "optimizers": [{"name": "TGD", "parameters": ["task"]}],
            },
        ),
        (
            "graph",
            {
                "nodes": [
                    {"name": "EvaluateBackward0", "role": "", "kind": "evaluator"},
                    {"name": "AccumulateGrad", "role": "prompt", "kind": "leaf"},
                ],
                "edges": [[0, 1]],
                "total": 2,
            },
        ),
        (
            "evidence",
            {
                "step": 1,
                "parameter": "task",
                "samples": [
                    {
                        "input": "the input seen",
                        "output": "the reply given",
                        "target": "t",
                        "score": 0,
                        "success": False,
                        "critique": "Say less.",
                    }
                ],
            },
        ),
        decision(1),
        step(1),
        usage(1, 10),
        decision(2, accepted=False, after="Be rude.", reason="it is worse"),
        step(2),
        (
            "epoch",
            {"step": 2, "metrics": {"val_loss": 0.75, "val_accuracy": 0.5}},
        ),
        ("metric", {"name": "val_accuracy", "value": 0.5, "step": 1}),
        ("metric", {"name": "note", "value": "a text", "step": 1}),
        ("warning", {"message": "a call failed"}),
        outcomes(1, 0, 1, 0),
        look([1, 0, 1, 0], at=2),
        usage(2, 30, 0.5, forward={"calls": 20, "cost_usd": 0.5}, test={"calls": 10}),
    ]
    return write_run(path, events, **fields)


def test_tells_everything(tmp_path):
    """Each part of the page shows what the run holds."""
    page = page_of(full(tmp_path / "run"))
    assert [a["id"] for a in page.all("section") if "id" in a] == [
        "curves",
        "changes",
        "samples",
        "costs",
        "details",
    ]
    for words in (
        "The test score rose from 0.250 to 0.500.",
        "Of 4 test samples: 1 better, 0 worse, 3 unchanged.",
        "This may be chance",
        "Score over training steps",
        "Cost in US dollars, so far",
        "val_accuracy",
        "It is too long.",
        "the input seen",
        "Say less.",
        "it is worse",
        "got better",
        "a question",
        "reply 0",
        "the program itself",
        "EvaluateBackward0 → AccumulateGrad prompt",
        "a call failed",
        "a text",
    ):
        assert words in page.text, words


def test_shows_words_that_came_and_went(tmp_path):
    """The change is marked in the text, not only in colour."""
    text = write_report(full(tmp_path / "run")).read_text()
    assert "Be <del>kind</del><ins>brief</ins>." in text
    assert "Be <del>kind</del><ins>rude</ins>." in text


def test_stands_alone(tmp_path):
    """No address is loaded: no link out, no picture, no style sheet, no script file."""
    path = full(tmp_path / "run")
    page = page_of(path)
    for tag, attrs in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "base"), tag
        assert "src" not in attrs
        assert attrs.get("href", "#").startswith("#")
        assert not [name for name in attrs if name.startswith("on")]
    text = (path / "report.html").read_text()
    assert not re.search(r"@import|url\((?!#)", text)
    assert "://" not in text


def test_forbids_what_it_does_not_need(tmp_path):
    """The policy allows one script, known by its hash, and nothing from elsewhere."""
    page = page_of(full(tmp_path / "run"))
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(part.strip().split(" ", 1) for part in policy["content"].split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["script-src"])
    assert "connect-src" not in rules
    assert len(page.all("script")) == 1


def test_structure_is_sound(tmp_path):
    """Elements close, ids are unique, headings step by one, tables have heads."""
    page = page_of(full(tmp_path / "run"))
    assert page.unclosed == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"
    for landmark in ("header", "nav", "main", "footer"):
        assert page.all(landmark), landmark
    for attrs in page.all("th"):
        assert attrs.get("scope") in ("col", "row")
    assert all(a["href"].startswith("#") for a in page.all("a"))
    assert {a["href"][1:] for a in page.all("a")} <= set(ids)


def test_what_is_named_can_be_found(tmp_path):
    """Labels point at elements that exist, and pictures have words."""
    page = page_of(full(tmp_path / "run"))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    for tag, attrs in page.tags:
        assert attrs.get("aria-labelledby", "main") in ids
        if attrs.get("role") in ("region", "img") and tag != "svg":
            assert attrs["aria-label"]
        if attrs.get("tabindex") == "0":
            assert attrs["role"] == "region"
    assert all(a.get("aria-label") or a.get("focusable") for a in page.all("svg"))


@pytest.mark.parametrize(
    "text", [HOSTILE, "\u202egnp.exe", "\x00\x1b[31m", "\ud800", "]]>"]
)
def test_hostile_text_stays_text(tmp_path, text):
    """Whatever a model or a user wrote is shown, and does nothing."""
    samples = outcomes(0, 1, input=text, target=text)
    samples[1]["samples"][0]["output"] = text
    events = [
        samples,
        ("fit_start", {"step": 0, "monitor": text}),
        (
            "parameters",
            {"values": [{"name": text, "role": text, "data": text}]},
        ),
        (
            "graph",
            {"nodes": [{"name": text, "role": text, "kind": text}], "edges": [[0, 0]]},
        ),
        decision(1, before="x", after=text, reason=text, optimizer=text),
        decision(2, accepted=False, before=text, after=[[text, text]], reason=text),
        step(1),
        ("metric", {"name": text, "value": 1.0}),
        ("metric", {"name": "note", "value": text}),
        ("warning", {"message": text}),
        usage(1, 1, **{text: {"calls": 1}}),
        ("status", {"status": "CRASHED", "error": text}),
    ]
    names = dict.fromkeys(("name", "project", "description", "host"), text)
    path = write_run(tmp_path / "run", events, status="CRASHED", **names)
    page = page_of(path)
    assert page.unclosed == []
    assert len(page.all("script")) == 1
    assert not page.all("img")
    raw = (path / "report.html").read_bytes().decode("utf-8")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", raw)
    if text is HOSTILE:
        assert "49" not in page.text.split("TGD")[0]
        assert page.text.count(HOSTILE) > 8


@pytest.mark.parametrize(
    "events",
    [
        [],
        [("status", {"status": "CRASHED"})],
        [("metric", {"name": "loss", "value": 1, "step": 0})],
        [step(1)],
        [look([1.0])],
        [decision(1)],
        [decision(1, accepted=False, after=None, decision=None)],
        [outcomes(1, 0)],
        [usage(1, 5)],
    ],
)
def test_every_beginning_is_a_report(tmp_path, events):
    """A run that has hardly begun has a page that says so."""
    page = page_of(write_run(tmp_path / "run", events))
    assert page.unclosed == []
    assert ("Nothing was recorded yet." in page.text) == (not events)


@pytest.mark.parametrize("tail", ['{"type": "step", "st', "\n\n", "null\n", "\xff"])
def test_torn_lines_are_left_out(tmp_path, tail):
    """A kill in the middle of a line costs that line only."""
    page = page_of(write_run(tmp_path / "run", [step(1), step(2)], tail=tail))
    assert "2 training steps" in page.text


NONSENSE = [None, True, "x", -1, 1e999, [1, "a"], {"a": [None]}, [[]], 10**400]


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
def test_fields_of_the_wrong_kind_are_left_out(tmp_path, value):
    """Events of another program, or another version, do not stop the report."""
    kinds = {
        "step": ("step", "metrics", "epoch", "batch"),
        "epoch": ("step", "metrics", "interval"),
        "test": ("scores", "interval", "metrics", "samples", "sample_set", "step"),
        "decision": (
            *("changes", "decision", "parent_scores", "candidate_scores"),
            *("optimizer", "candidate", "accepted", "reason"),
        ),
        "parameters": ("values", "optimizers", "step"),
        "outcomes": ("samples", "total", "stage", "sample_set"),
        "usage": ("roles", "cost_usd", "calls", "seconds"),
        "fit_start": ("monitor", "higher_is_better", "step", "resumed_from"),
        "fit_end": ("best_score", "monitor", "stop_reason", "best_path"),
        "graph": ("nodes", "edges", "total"),
        "evidence": ("parameter", "samples", "step"),
        "metric": ("name", "value", "step"),
        "warning": ("message",),
        "logger_failed": ("logger", "error"),
        "status": ("status", "error"),
    }
    events = []
    for kind, names in kinds.items():
        events.append((kind, dict.fromkeys(names, value)))
        events += [(kind, {name: value}) for name in names]
    good = decision(1)[1]
    events += [("decision", {**good, key: value}) for key in good]
    inner = good["changes"][0]
    events += [
        ("decision", {**good, "changes": [{**inner, key: value}]}) for key in inner
    ]
    nodes = [{"name": value, "role": value, "kind": value}, {}]
    events.append(("graph", {"nodes": nodes, "edges": [[0, 1], value], "total": value}))
    page = page_of(write_run(tmp_path / "run", events, project=value))
    assert page.unclosed == []


def test_crashed_runs_say_so(tmp_path):
    """The error stands at the top, and the rest is what was known by then."""
    events = [step(1), ("status", {"status": "CRASHED", "error": "ModelError: gone"})]
    page = page_of(write_run(tmp_path / "run", events, status="CRASHED"))
    assert "This run crashed. ModelError: gone." in " ".join(page.text.split())


def test_running_runs_say_so(tmp_path):
    """The page of a run that goes on is about how far it has come."""
    page = page_of(write_run(tmp_path / "run", [step(1)], status="RUNNING"))
    assert "This run is going on." in page.text


def test_runs_without_a_trainer(tmp_path, monkeypatch):
    """What was logged by hand is drawn, one chart for each name."""
    monkeypatch.setenv("AFNIO_RUNS", str(tmp_path))
    with tracking.init("me", "By hand") as run:
        for value in (0.1, 0.5, 0.9):
            tracking.log("accuracy", value)
            tracking.log("train_loss", value)
    page = page_of(run.path)
    titles = [
        line for line in page.text.splitlines() if line in ("accuracy", "train_loss")
    ]
    assert titles == ["accuracy", "train_loss"]


def test_many_steps_stay_small_and_quick(tmp_path):
    """A long run's page is no longer than a person would scroll."""
    prompt = "Answer the question. " * 100
    events = [look([0, 1] * 250)]
    for number in range(1, 2001):
        new = f"{prompt}{number}"
        events.append(
            decision(number, accepted=number % 5 == 0, before=prompt, after=new)
        )
        events.append(step(number, number % 7))
        events.append(usage(number, number))
    events += [outcomes(*[1, 0] * 250, input="x" * 400), look([1, 1] * 250, at=2000)]
    path = write_run(tmp_path / "run", events)
    page = page_of(path)
    assert (path / "report.html").stat().st_size < 1_500_000
    assert "The first and the last are shown, 40 in all." in page.text
    assert len(page.all("path", **{"class": "line"})) >= 1


def test_out_names_a_file_or_a_directory(tmp_path):
    """Directories get the usual name, and missing ones are made."""
    run = write_run(tmp_path / "run", [])
    assert write_report(run) == run / "report.html"
    assert write_report(str(run), tmp_path) == tmp_path / "report.html"
    assert (
        write_report(run, tmp_path / "new" / "a.html").read_text().startswith("<!doc")
    )


def test_wrong_arguments_are_named(tmp_path):
    """What is no path, or no run, is refused in words."""
    with pytest.raises(InputTypeError, match="run_dir must be a path, got int"):
        write_report(3)
    with pytest.raises(InputTypeError, match="out must be a path"):
        write_report(write_run(tmp_path / "run", []), 3)
    with pytest.raises(FileFormatError, match="is not a run"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="is not a run"):
        read_summary(tmp_path)


def test_the_run_is_left_as_it_was(tmp_path):
    """A report reads; besides its own file it writes nothing."""
    run = full(tmp_path / "run")
    before = {each.name: each.read_bytes() for each in run.iterdir()}
    write_report(run, tmp_path / "elsewhere.html")
    assert {each.name: each.read_bytes() for each in run.iterdir()} == before


def test_manifest_is_shown(tmp_path):
    """Whatever ``run.json`` holds is shown, nested or not."""
    manifest = {"models": [{"model": "m-1", "seed": None}], "flag": True}
    path = write_run(tmp_path / "run", [], manifest=manifest)
    text = page_of(path).text
    assert "m-1" in text
    assert "none" in text
    assert "yes" in text
    assert json.loads((path / "run.json").read_text())["manifest"] == manifest


def test_a_link_in_a_run_does_not_choose_what_is_written(tmp_path):
    """A run from elsewhere cannot replace other files; a path of yours is followed."""
    run, outside = write_run(tmp_path / "run", []), tmp_path / "mine.txt"
    outside.write_text("mine")
    (run / "report.html").symlink_to(outside)
    write_report(run)
    assert outside.read_text() == "mine"
    assert not (run / "report.html").is_symlink()
    (tmp_path / "link.html").symlink_to(outside)
    write_report(run, tmp_path / "link.html")
    assert "<html" in outside.read_text()


def test_what_a_judge_said_in_comparison_is_shown(tmp_path):
    """For what was kept and for what was turned down."""
    events = [
        decision(1, candidate=1, rationale="(first: new) The first is clearer."),
        decision(1, candidate=2, accepted=False, rationale="The second is vague."),
        step(1),
    ]
    text = page_of(write_run(tmp_path / "r", events)).text
    assert "The first is clearer." in text
    assert "The second is vague." in text


def test_what_a_search_returns_is_no_further_change(tmp_path):
    """Its last decision says which candidate it is."""
    kind, fields = decision(2, candidate=1)
    final = kind, {**fields, "changes": []}
    events = [decision(1, candidate=1), decision(1, accepted=False), step(1), final]
    text = " ".join(page_of(write_run(tmp_path / "r", events)).text.split())
    assert "Changes kept1 of 2 proposed" in text
    assert "Changes that were kept 1 " in text
    assert "What was returned in the end" in text


def test_parts_of_a_kept_change_were_not_turned_down(tmp_path):
    """Their lines are in the program; all counts say so."""
    part = decision(1, candidate=2, accepted=False, reason="part of candidate 3")
    left = decision(1, candidate=1, accepted=False)
    events = [left, part, decision(1, candidate=3), step(1)]
    text = " ".join(page_of(write_run(tmp_path / "r", events)).text.split())
    assert "Changes kept1 of 3 proposed, and 1 as parts of those" in text
    assert "Changes that were kept 1 " in text
    assert "Candidates that are parts of those 1 " in text
    assert "Candidates that were turned down 1 " in text
