"""Evaluations as files, as words and as JUnit XML."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from evaluation_helpers import DATA, Capitals, evaluation

from afnio.errors import BadRequestError, FileFormatError, MissingFileError
from afnio.evaluation import Evaluation, Thresholds, evaluate, junit_xml

HOSTILE = "\x1b[31m<b>&\x00\ud800]]> \N{RIGHT-TO-LEFT OVERRIDE}"


def test_a_file_gives_back_what_was_saved(tmp_path):
    """Saving and loading keep every field but rounded seconds."""
    saved = evaluate(Capitals({"Italy": BadRequestError("down"), "": "Paris"}), DATA)
    loaded = Evaluation.load(saved.save(tmp_path / "result.json"))
    assert loaded.samples == saved.samples
    assert loaded.to_dict() == saved.to_dict()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": "afnio.evaluation", "version": 9}',
        '{"format": "afnio.evaluation", "version": 1}',
        json.dumps(
            {
                "format": "afnio.evaluation",
                "version": 1,
                "name": "x",
                "usage": {},
                "seconds": 0,
                "samples": [{"index": 0, "key": "k"}],
            }
        ),
    ],
)
def test_other_files_are_refused(tmp_path, content):
    """The message names the file."""
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=r"other\.json"):
        Evaluation.load(path)
    with pytest.raises(MissingFileError, match="there is no evaluation"):
        Evaluation.load(tmp_path / "none.json")


def test_hostile_text_survives_the_file_and_stays_out_of_terminals(tmp_path):
    """No answer can break a file or command a terminal."""
    result = evaluate(lambda _: HOSTILE, [(HOSTILE, HOSTILE)], lambda *_: 1)
    assert Evaluation.load(result.save(tmp_path / "r.json")).mean == 1.0
    failing = evaluate(lambda text: {}[text], [(HOSTILE, HOSTILE)], name=HOSTILE)
    assert "\x1b" not in str(failing)


def test_junit_counts_errors_and_thresholds():
    """A sample that failed is an error, a threshold that is not met a failure."""
    result = evaluation([1.0, 0.0, None], "suite")
    checks = Thresholds(min_score=0.9, max_errors=1).check(result)
    (suite,) = ET.fromstring(junit_xml(result, checks))
    assert {k: suite.get(k) for k in ("name", "tests", "failures", "errors")} == {
        "name": "suite",
        "tests": "5",
        "failures": "1",
        "errors": "1",
    }
    cases = {case.get("name"): case for case in suite}
    assert cases["threshold: score"].find("failure") is not None
    assert cases["threshold: errors"].find("failure") is None
    assert cases["sample 2: None"].find("error").text == "BadRequestError: down"


def test_junit_is_xml_whatever_the_text():
    """Characters that XML cannot hold are replaced."""
    result = evaluate(lambda _: HOSTILE, [(HOSTILE, HOSTILE)], lambda *_: 1)
    suite = ET.fromstring(junit_xml(result))
    assert "<b>&" in suite.find(".//system-out").text


def test_it_reads_well():
    """Score with interval, errors by kind, and what was paid."""
    result = evaluate(Capitals({"Italy": BadRequestError("down"), "": "Paris"}), DATA)
    lines = str(result).splitlines()
    assert lines[0].startswith("Capitals: score 0.500 [")
    assert lines[1:3] == [
        "  1 sample without a score:",
        "    1 x BadRequestError: down (sample 0)",
    ]
    assert "2 calls, 1 failed" in lines[3]
    assert str(evaluation([None])).startswith("eval: no score")


def test_the_interval_is_that_of_the_trainer():
    """Scores of 0 and 1 get Wilson's interval; one score has none."""
    low, high = evaluation([1.0] * 8 + [0.0] * 2).interval
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert evaluation([1.0]).interval is None
