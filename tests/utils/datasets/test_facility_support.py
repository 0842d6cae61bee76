"""FacilitySupport, on a small file of its form and, where it is there, the real one."""

import json
import os
import random
from pathlib import Path

import pytest

import afnio
from afnio import Variable
from afnio.errors import FileFormatError
from afnio.utils.data import DataLoader, Dataset, WeightedRandomSampler, find_overlap
from afnio.utils.datasets import DatasetNotFoundError, FacilitySupport, utils

SHARED = Path(afnio.__file__).parents[1].parent / "shared" / "data"
REAL = SHARED / "facility_support" / "dataset.json"
needs_data = pytest.mark.skipif(
    not REAL.is_file(), reason=f"needs {REAL.name} in ../shared/data/facility_support"
)


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    """Fail on any connection; keep away from the user's cache."""

    def fail(url):
        raise AssertionError(f"{url} was opened")

    monkeypatch.setattr(utils, "_open", fail)
    monkeypatch.setenv("AFNIO_DATA", str(tmp_path / "none"))


def small(tmp_path, count=10):
    """Write a file of the right form."""
    items = [
        {
            "fields": {"input": f"message {n}"},
            "answer": json.dumps(
                {"categories": {"a": True}, "sentiment": "neutral", "urgency": "low"}
            ),
        }
        for n in range(count)
    ]
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(items))
    return path


@needs_data
@pytest.mark.parametrize("root", [SHARED, REAL.parent, REAL])
def test_documented_sizes(root):
    """DS02: 66, 66 and 68, from any folder that holds the file, with no network."""
    splits = [FacilitySupport(split, root=root) for split in ("train", "val", "test")]
    assert [len(split) for split in splits] == [66, 66, 68]
    train, val, test = splits
    assert not find_overlap(train, val) + find_overlap(train, test)
    assert not find_overlap(val, test)


@needs_data
def test_the_environment_names_the_folder(monkeypatch):
    """``AFNIO_DATA`` is the default root."""
    monkeypatch.setenv("AFNIO_DATA", str(SHARED))
    assert len(FacilitySupport("val")) == 66


@needs_data
def test_documented_sample():
    """DS04: Variables with the documented roles; the first one is pinned."""
    message, (urgency, sentiment, categories) = FacilitySupport("train", SHARED)[0]
    expected = json.loads(REAL.read_text())
    random.Random(0).shuffle(expected)
    assert message.data == expected[0]["fields"]["input"]
    answer = json.loads(expected[0]["answer"])
    assert (urgency.data, sentiment.data) == (answer["urgency"], answer["sentiment"])
    assert json.loads(categories.data) == answer["categories"]
    roles = [v.role for v in (message, urgency, sentiment, categories)]
    assert roles == [
        "input email or message",
        "output urgency",
        "output sentiment",
        "output categories",
    ]


@needs_data
def test_documented_loader():
    """The documented quick start: a weighted sampler, batches of 33."""
    data = FacilitySupport("train", root=SHARED)
    sampler = WeightedRandomSampler([1.0] * len(data), len(data), seed=0)
    message, (_, sentiment, _) = next(iter(DataLoader(data, 33, sampler=sampler)))
    assert message.shape == sentiment.shape == (33,)
    assert set(sentiment.data) <= {"positive", "neutral", "negative"}


def test_splits_of_an_own_file(tmp_path):
    """``path`` takes any file of the form, or the folder it is in."""
    path = small(tmp_path)
    sizes = [len(FacilitySupport(s, path=path)) for s in ("train", "val", "test")]
    assert sizes == [3, 3, 4]
    assert len(FacilitySupport("test", path=tmp_path)) == 4
    assert isinstance(FacilitySupport("train", path=path), Dataset)


def test_samples_are_made_anew(tmp_path):
    """Changing a sample does not change the data set."""
    data = FacilitySupport("train", path=small(tmp_path))
    message, _ = data[0]
    before = message.data
    message.data = "changed"
    assert data[0][0].data == before
    assert isinstance(message, Variable)


def test_positions_are_checked(tmp_path):
    """DS03: negative and too large positions raise, and iterating stops."""
    data = FacilitySupport("train", path=small(tmp_path))
    for index in (-1, len(data)):
        with pytest.raises(IndexError, match="positions 0 to 2"):
            data[index]
    assert len(list(data)) == 3


@pytest.mark.parametrize("split", ["validation", None, "Train", ["train"]])
def test_unknown_splits_are_refused(split):
    """DS01: the message lists the splits."""
    with pytest.raises(ValueError, match="'train', 'val', 'test'"):
        FacilitySupport(split)


def test_missing_files_say_how_to_get_them(tmp_path):
    """Without ``download=True`` nothing is fetched; the error says where it is."""
    with pytest.raises(
        DatasetNotFoundError, match=r"download=True .*https://"
    ) as caught:
        FacilitySupport("train", root=tmp_path)
    assert isinstance(caught.value, FileNotFoundError)


def test_other_files_are_not_taken_for_the_data_set(tmp_path):
    """Below ``root`` only the real file counts; an own one goes by ``path``."""
    small(tmp_path)
    with pytest.raises(FileFormatError, match=r"another sha256.*path="):
        FacilitySupport("train", root=tmp_path)


@needs_data
def test_download_goes_to_the_documented_folder(tmp_path, monkeypatch):
    """``download=True`` fetches once, checks, and later runs need no network."""
    monkeypatch.setattr(utils, "_open", lambda url: REAL.open("rb"))
    data = FacilitySupport("train", root=tmp_path, download=True)
    assert data.source == tmp_path / "FacilitySupport" / "raw" / "dataset.json"
    monkeypatch.setattr(utils, "_open", None)
    assert len(FacilitySupport("test", root=tmp_path)) == 68


def test_malformed_files_are_refused(tmp_path):
    """The message says what form was expected."""
    for text in ("{", '[{"fields": {}}]', "[3]"):
        path = tmp_path / "other.json"
        path.write_text(text)
        with pytest.raises(FileFormatError, match=r"fields\.input and answer"):
            FacilitySupport("train", path=path)


def test_repr(tmp_path):
    """Name, number of datapoints, where from, and split, one per line."""
    path = small(tmp_path)
    assert repr(FacilitySupport("val", path=path)).splitlines() == [
        "Dataset FacilitySupport",
        "    Number of datapoints: 3",
        f"    Root location: {os.fspath(path)}",
        "    Split: val",
    ]
