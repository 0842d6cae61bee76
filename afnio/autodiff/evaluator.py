"""Evaluators: operations that score a prediction and say what was wrong with it.

All return ``(score, explanation)``. Backward may start at either, without a gradient.
Samples that were right get empty feedback, which costs no model call further down.
``score.evidence`` keeps every sample's score, whatever the reduction.
"""

from afnio.autodiff._deterministic import DeterministicEvaluator, ExactMatchEvaluator
from afnio.autodiff._judge import LMJudgeEvaluator

__all__ = ["DeterministicEvaluator", "ExactMatchEvaluator", "LMJudgeEvaluator"]
