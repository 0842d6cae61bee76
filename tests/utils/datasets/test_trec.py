"""TREC, on a small file of its form: the real ones cannot be kept here."""

import hashlib
import io
import random
from collections import Counter

import pytest

from afnio import Variable
from afnio.errors import FileFormatError
from afnio.utils.datasets import TREC, DatasetNotFoundError, utils

LINES = [f"NUM:date When was event {n} ?" for n in range(6)]
LINES += [f"HUM:ind Who was person {n} ?" for n in range(4)]
LINES += [LINES[0], "DESC:def What is caf\u00e9 ?"]


@pytest.fixture
def path(tmp_path):
    """Write a label file, in the encoding of the real ones."""
    file = tmp_path / "questions.label"
    file.write_bytes("\n".join([*LINES, ""]).encode("latin-1"))
    return file


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"task": "medium", "split": "train"},
        {"task": "fine"},
        {"task": "fine", "split": "validation"},
        {"task": "fine", "split": "train", "validation_split": 1.1},
        {"task": "fine", "split": "train", "validation_split": -0.1},
        {"task": "fine", "split": "train", "validation_split": float("nan")},
    ],
)
def test_wrong_arguments_are_refused(path, arguments):
    """DS01."""
    with pytest.raises(ValueError, match=r"task|split"):
        TREC(**arguments, path=path)


def test_the_task_decides_the_label(path):
    """Questions and labels are Variables with roles."""
    coarse, fine = (TREC(task, "test", path=path) for task in ("coarse", "fine"))
    question, label = coarse[11]
    assert isinstance(question, Variable)
    assert (question.data, question.role) == ("What is caf\u00e9 ?", "input question")
    assert (label.data, label.role) == ("DESC", "output coarse label")
    assert (fine[11][1].data, fine[11][1].role) == ("DESC:def", "output fine label")


def test_training_questions_are_unique_and_shuffled(path):
    """Duplicates go from the training part only, and classes are not in blocks."""
    train = TREC("coarse", "train", path=path)
    assert len(train) == 11
    assert len(TREC("coarse", "test", path=path)) == 12
    labels = [label.data for _, label in train]
    assert labels != sorted(labels)
    assert labels == [label.data for _, label in TREC("coarse", "train", path=path)]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_validation_is_stratified(path, share):
    """Both parts together are the whole; every label keeps its share."""
    parts = [TREC("coarse", s, share, path=path) for s in ("train", "val")]
    questions = [question.data for part in parts for question, _ in part]
    assert len(set(questions)) == len(questions) == 11
    counts = Counter(label.data for _, label in parts[1])
    assert (counts["NUM"], counts["HUM"]) == (6 * share, 4 * share)


def test_global_random_is_left_alone(path):
    """Loading data does not disturb the user's randomness."""
    before = random.getstate()
    TREC("fine", "train", 0.5, path=path)
    assert random.getstate() == before


def test_missing_files_say_how_to_get_them(tmp_path):
    """Without ``download=True`` nothing is fetched."""
    with pytest.raises(DatasetNotFoundError, match=r"TREC_10\.label .*download=True"):
        TREC("fine", "test", root=tmp_path)


def test_download_is_checked(tmp_path, monkeypatch):
    """Other contents at the address are refused by their checksum."""
    content = b"NUM:date When ?\n"
    monkeypatch.setattr(utils, "_open", lambda url: io.BytesIO(content))
    with pytest.raises(FileFormatError, match=hashlib.md5(content).hexdigest()):
        TREC("fine", "train", root=tmp_path, download=True)


def test_malformed_lines_are_named(tmp_path):
    """The message says which line."""
    file = tmp_path / "x.label"
    file.write_text("NUM:date When ?\nnonsense\n")
    with pytest.raises(FileFormatError, match="line 2"):
        TREC("fine", "test", path=file)


def test_repr(path):
    """Task and split are shown, and wrong positions raise."""
    data = TREC("fine", "train", path=path)
    assert repr(data).endswith("    Task: fine\n    Split: train")
    with pytest.raises(IndexError):
        data[-1]
