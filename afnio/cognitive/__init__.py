"""Programs made of language-model calls: modules, parameters, and functions."""

from afnio.cognitive import functional
from afnio.cognitive.functional import (
    add,
    chat_completion,
    deterministic_evaluator,
    exact_match_evaluator,
    json_schema_evaluator,
    lm_judge_evaluator,
    pairwise_judge_evaluator,
    regex_evaluator,
    split,
    sum,  # noqa: A004, F401 - documented; see below
    weighted_evaluator,
)
from afnio.cognitive.modules import (
    Add,
    ChatCompletion,
    DeterministicEvaluator,
    ExactMatchEvaluator,
    JSONSchemaEvaluator,
    LMJudgeEvaluator,
    Module,
    ModuleDict,
    ModuleList,
    PairwiseJudgeEvaluator,
    ParameterDict,
    ParameterList,
    RegexEvaluator,
    Sequential,
    Split,
    Sum,
    WeightedEvaluator,
)
from afnio.cognitive.parameter import Demonstrations, Parameter, Version

# `sum` is an attribute, as documented, but not listed here: a star import must not
# replace the built-in.
__all__ = [
    "Add",
    "ChatCompletion",
    "Demonstrations",
    "DeterministicEvaluator",
    "ExactMatchEvaluator",
    "JSONSchemaEvaluator",
    "LMJudgeEvaluator",
    "Module",
    "ModuleDict",
    "ModuleList",
    "PairwiseJudgeEvaluator",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "RegexEvaluator",
    "Sequential",
    "Split",
    "Sum",
    "Version",
    "WeightedEvaluator",
    "add",
    "chat_completion",
    "deterministic_evaluator",
    "exact_match_evaluator",
    "functional",
    "json_schema_evaluator",
    "lm_judge_evaluator",
    "pairwise_judge_evaluator",
    "regex_evaluator",
    "split",
    "weighted_evaluator",
]
