"""Evaluators: operations that score a prediction and say what was wrong with it.

All return ``(score, explanation)``. Backward may start at either, without a gradient.
Samples that were right get empty feedback, which costs no model call further down.
``score.evidence`` keeps every sample's score, whatever the reduction.

A failure to evaluate is an error, never a score; a sample that is missing has no score.
"""

from afnio.autodiff._agreement_evaluator import Agreement, agreement
from afnio.autodiff._deterministic import DeterministicEvaluator
from afnio.autodiff._exact_match_evaluator import NORMALIZERS, ExactMatchEvaluator
from afnio.autodiff._json_schema_evaluator import JSONSchemaEvaluator
from afnio.autodiff._judge import LMJudgeEvaluator
from afnio.autodiff._pairwise_judge_evaluator import PairwiseJudgeEvaluator
from afnio.autodiff._regex_evaluator import RegexEvaluator
from afnio.autodiff._weighted_evaluator import WeightedEvaluator

__all__ = [
    "NORMALIZERS",
    "Agreement",
    "DeterministicEvaluator",
    "ExactMatchEvaluator",
    "JSONSchemaEvaluator",
    "LMJudgeEvaluator",
    "PairwiseJudgeEvaluator",
    "RegexEvaluator",
    "WeightedEvaluator",
    "agreement",
]
