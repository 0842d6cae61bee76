"""BIG-Bench Hard tasks, JSON lines and CSV."""

import json
from pathlib import Path

import pytest

import afnio
from afnio import Variable
from afnio.errors import FileFormatError, MissingFileError
from afnio.utils.data import DataLoader, find_overlap
from afnio.utils.datasets import BBHTask, CSVDataset, DatasetNotFoundError, JSONLDataset

BBH = Path(afnio.__file__).parents[1].parent / "shared" / "data" / "bbh"


@pytest.fixture
def task(tmp_path):
    """Write a small task."""
    examples = [{"input": f"q{n}", "target": n} for n in range(10)]
    path = tmp_path / "counting.json"
    path.write_text(json.dumps({"canary": "", "examples": examples}))
    return path


def test_bbh_samples_are_variables(task):
    """In the file's order by default, with roles."""
    data = BBHTask(task)
    question, answer = data[3]
    assert (question.data, question.role) == ("q3", "input question")
    assert (answer.data, answer.role) == ("3", "expected answer")
    assert "Task: counting" in repr(data)


def test_bbh_parts_are_disjoint_and_seeded(task):
    """Another seed gives other parts; the same one the same."""
    parts = [BBHTask(task, split) for split in ("train", "val", "test")]
    texts = [question.data for part in parts for question, _ in part]
    assert sorted(texts) == [f"q{n}" for n in range(10)]
    assert repr(BBHTask(task, "train")[0]) == repr(parts[0][0])
    assert [q.data for q, _ in BBHTask(task, "test", seed=1)] != [
        q.data for q, _ in parts[2]
    ]


@pytest.mark.skipif(not BBH.is_dir(), reason="needs ../shared/data/bbh")
@pytest.mark.parametrize("name", ["object_counting", "word_sorting"])
def test_real_bbh_tasks(name):
    """The published files load, and training and test parts share no question."""
    path = BBH / f"{name}.json"
    assert len(BBHTask(path)) == 250
    sizes = [len(BBHTask(path, split)) for split in ("train", "val", "test")]
    assert sizes == [82, 83, 85]
    assert not find_overlap(BBHTask(path, "train"), BBHTask(path, "test"))


def test_bbh_refusals(task, tmp_path):
    """Splits, missing files and other forms are named."""
    with pytest.raises(ValueError, match="'all'"):
        BBHTask(task, "dev")
    with pytest.raises(DatasetNotFoundError, match="BIG-Bench-Hard"):
        BBHTask(tmp_path / "none.json")
    task.write_text('{"examples": [{"input": 1}]}')
    with pytest.raises(FileFormatError, match="not a BIG-Bench Hard task"):
        BBHTask(task)


def test_jsonl_reads_lines(tmp_path):
    """Blank lines and a byte order mark are skipped; transform makes the samples."""
    path = tmp_path / "x.jsonl"
    path.write_text('\ufeff{"q": "é"}\n\n{"q": "b"}\n', encoding="utf-8")
    assert list(JSONLDataset(path)) == [{"q": "é"}, {"q": "b"}]
    data = JSONLDataset(path, lambda row: Variable(row["q"], "question"))
    assert next(iter(DataLoader(data, 2))).data == ["é", "b"]
    assert "Number of datapoints: 2" in repr(data)


def test_jsonl_names_the_bad_line(tmp_path):
    """A cut file says where it was cut."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"q": 1}\n{"q"')
    with pytest.raises(FileFormatError, match="line 2 is not JSON"):
        JSONLDataset(path)


def test_csv_reads_rows(tmp_path):
    """Quoted line breaks belong to the field."""
    path = tmp_path / "x.csv"
    path.write_text('q,a\n"two\nlines",1\nb,2\n')
    assert list(CSVDataset(path)) == [
        {"q": "two\nlines", "a": "1"},
        {"q": "b", "a": "2"},
    ]


@pytest.mark.parametrize("row", ["1", "1,2,3"])
def test_csv_names_the_bad_row(tmp_path, row):
    """A row that is too short or too long is refused."""
    path = tmp_path / "x.csv"
    path.write_text(f"q,a\nx,y\n{row}\n")
    with pytest.raises(FileFormatError, match="line 3: expected 2 fields"):
        CSVDataset(path)


@pytest.mark.parametrize("kind", [JSONLDataset, CSVDataset])
def test_a_missing_file_is_named(kind, tmp_path, monkeypatch):
    """With where a relative path was looked up, and a near name, if there is one."""
    monkeypatch.chdir(tmp_path)
    Path("train.data").write_text("")
    with pytest.raises(MissingFileError, match=r"train.date \(seen from ") as caught:
        kind("train.date")
    assert isinstance(caught.value, FileNotFoundError)
    Path("rows.jsonl").write_text("")
    with pytest.raises(MissingFileError, match=r"did you mean 'rows.jsonl'\."):
        kind("row.jsonl")
    with pytest.raises(MissingFileError, match="its folder does not exist"):
        kind(tmp_path / "none" / "rows.jsonl")
