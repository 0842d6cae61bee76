"""Names, atomic files, and logs that survive a kill."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio.errors import FileFormatError
from afnio.tracking.store import (
    EventLog,
    claim,
    distinct_file_name,
    file_name,
    json_line,
    read_events,
    read_json,
    save_prompt,
    slug,
    write_json,
)

ROOT = Path(afnio.__file__).parent.parent


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Test Project", "test-project"), ("  A__b!c ", "a-b-c"), ("Größe", "grösse")],
)
def test_slugs(text, expected):
    """Lower case, words joined by dashes."""
    assert slug(text) == expected


@given(st.text())
def test_file_names_stay_in_their_folder(name):
    """No text becomes a path of more than one part, or a hidden one."""
    made = file_name(name)
    assert Path(made).name == made
    assert not made.startswith(".")
    assert len(made) <= 100


@given(st.lists(st.dictionaries(st.text(), st.text(), min_size=1), max_size=5))
def test_events_round_trip(tmp_path_factory, events):
    """Whatever text is logged is read back, one line each."""
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    log = EventLog(path)
    for event in events:
        log.append(event)
    assert list(read_events(path)) == [
        json.loads(json_line(event).decode("utf-8")) for event in events
    ]


def test_a_torn_line_is_left_out_and_the_log_goes_on(tmp_path):
    """A kill in the middle of a write costs that event only."""
    path = tmp_path / "events.jsonl"
    EventLog(path).append({"n": 1})
    with path.open("ab") as file:
        file.write(b'{"n": 2, "te')
    assert [event["n"] for event in read_events(path)] == [1]
    log = EventLog(path)
    log.append({"n": 3})
    log.append({"n": 4})
    assert [event["n"] for event in read_events(path)] == [1, 3, 4]


def test_no_log_no_events(tmp_path):
    """A run without events has no file."""
    assert list(read_events(tmp_path / "events.jsonl")) == []


def test_json_files_are_replaced_whole(tmp_path):
    """A value that has no JSON form leaves the old file."""
    path = tmp_path / "run.json"
    write_json(path, {"n": 1})
    with pytest.raises((TypeError, ValueError)):
        write_json(path, {"n": float("nan")})
    assert json.loads(path.read_text("utf-8")) == {"n": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_half_a_surrogate_pair_can_be_read_back(tmp_path):
    """A reply that was cut within an emoji does not make the file unreadable."""
    path = tmp_path / "run.json"
    write_json(path, {"text": "smile \ud83d", "face": "\U0001f600"})
    assert read_json(path) == {"text": "smile \ud83d", "face": "\U0001f600"}
    save_prompt(tmp_path, "p", "smile \ud83d")
    assert (tmp_path / "p" / "last.txt").read_text("utf-8") == "smile \\ud83d"


def test_processes_that_claim_one_name_get_different_folders(tmp_path):
    """Many processes can start runs side by side."""
    code = (
        "import sys; from pathlib import Path; from afnio.tracking.store import claim\n"
        "for _ in range(20): print(claim(Path(sys.argv[1]), 'r')[1])"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    names = [name for each in running for name in each.communicate()[0].split()]
    assert len(names) == 40
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert claim(tmp_path, "r")[1] == "r_40"


def test_files_of_older_writers_can_be_read(tmp_path):
    """Half a surrogate pair was once written as if it were a letter."""
    path = tmp_path / "run.json"
    path.write_bytes(b'{"argv": "\xed\xb3\xa9"}')
    assert read_json(path) == {"argv": "\udce9"}


def test_deep_nesting_is_left_out_or_named(tmp_path):
    """A line of brackets does not hide the events around it."""
    log, document = tmp_path / "events.jsonl", tmp_path / "run.json"
    log.write_bytes(b'{"type": "a"}\n' + b"[" * 200_000 + b'\n{"type": "b"}\n')
    assert [event["type"] for event in read_events(log)] == ["a", "b"]
    document.write_bytes(b"[" * 200_000)
    with pytest.raises(FileFormatError, match=r"run\.json"):
        read_json(document)


@given(st.text(max_size=300))
def test_names_fit_every_file_system(name):
    """In bytes, and in any language."""
    assert 0 < len(file_name(name).encode()) <= 100
    assert 0 < len(distinct_file_name(name).encode()) <= 110
    assert len(slug(name).encode()) <= 100


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/b", "a:b"), ("a-b", "a/b"), ("x", "\uff58"), ("n" * 100, "n" * 101)],
)
def test_prompts_of_similar_names_are_kept_apart(tmp_path, one, other):
    """What a file name cannot hold is told apart by a digest."""
    save_prompt(tmp_path, one, "first")
    save_prompt(tmp_path, other, "second")
    texts = [file.read_text() for file in sorted(tmp_path.glob("*/last.txt"))]
    assert sorted(texts) == ["first", "second"]
