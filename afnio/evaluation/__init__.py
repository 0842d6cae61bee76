"""Evaluation scripts: scores with intervals, paired comparisons, thresholds for CI."""

from afnio.evaluation._checks import Check, Thresholds
from afnio.evaluation._compare import Comparison, compare
from afnio.evaluation._evaluate import aevaluate, evaluate
from afnio.evaluation._junit import junit_xml
from afnio.evaluation._options import Options
from afnio.evaluation._result import Evaluation, SampleResult

__all__ = [
    "Check",
    "Comparison",
    "Evaluation",
    "Options",
    "SampleResult",
    "Thresholds",
    "aevaluate",
    "compare",
    "evaluate",
    "junit_xml",
]
