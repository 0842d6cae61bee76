"""An evaluation as JUnit XML, which CI systems show as tests."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any, Final

from afnio._text import shorten
from afnio.evaluation._checks import Check
from afnio.evaluation._result import Evaluation, SampleResult

_FORBIDDEN: Final = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
"""What XML 1.0 cannot hold, not even escaped."""

_NAME: Final = 80


def junit_xml(evaluation: Evaluation, checks: Sequence[Check] = ()) -> str:
    """Return a test suite with a case per sample and a case per threshold.

    A sample with an error is an ``error``. A threshold that is not met is a
    ``failure``; a low score alone is none, as no program is right about everything.
    """
    failures = sum(not each.passed for each in checks)
    attributes = {
        "name": _clean(evaluation.name),
        "tests": str(len(evaluation.samples) + len(checks)),
        "failures": str(failures),
        "errors": str(len(evaluation.errors)),
        "time": f"{evaluation.seconds:.3f}",
    }
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", attributes)
    for check in checks:
        _add_check(suite, evaluation.name, check)
    for sample in evaluation.samples:
        _add_sample(suite, evaluation.name, sample)
    ET.indent(suites)
    xml: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return xml.decode() + "\n"


def _add_check(suite: ET.Element, name: str, check: Check) -> None:
    case = _case(suite, name, f"threshold: {check.name}")
    if check.passed:
        ET.SubElement(case, "system-out").text = _clean(check.message)
    else:
        ET.SubElement(case, "failure", {"message": _clean(check.message)})


def _add_sample(suite: ET.Element, name: str, sample: SampleResult) -> None:
    title = f"sample {sample.index}: {shorten(sample.inputs, _NAME)}"
    case = _case(suite, name, title)
    if sample.error is not None:
        message = _clean(shorten(sample.error, 200))
        ET.SubElement(case, "error", {"message": message}).text = _clean(sample.error)
    else:
        lines = [
            f"score: {sample.score:g}",
            f"output: {sample.output}",
            f"target: {sample.target}",
            sample.explanation,
        ]
        ET.SubElement(case, "system-out").text = _clean("\n".join(lines).rstrip())


def _case(suite: ET.Element, name: str, title: str) -> ET.Element:
    attributes = {"classname": _clean(name), "name": _clean(title)}
    return ET.SubElement(suite, "testcase", attributes)


def _clean(text: Any) -> str:
    return _FORBIDDEN.sub("\ufffd", str(text))
