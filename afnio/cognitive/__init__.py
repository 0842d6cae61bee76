"""Programs made of language-model calls: modules, parameters, and functions."""

from afnio.autodiff.conversations import Conversations
from afnio.autodiff.op_result import OpResult
from afnio.autodiff.stop_reasons import BoolMask, StopReason, StopReasonView
from afnio.cognitive import functional
from afnio.cognitive.functional import (
    add,
    chat,
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
    Agent,
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
    Tool,
    WeightedEvaluator,
)
from afnio.cognitive.parameter import Demonstrations, Parameter, Version
from afnio.cognitive.turns import Turns

# `sum` is an attribute, as documented, but not listed here: a star import must not
# replace the built-in.
__all__ = [
    "Add",
    "Agent",
    "BoolMask",
    "ChatCompletion",
    "Conversations",
    "Demonstrations",
    "DeterministicEvaluator",
    "ExactMatchEvaluator",
    "JSONSchemaEvaluator",
    "LMJudgeEvaluator",
    "Module",
    "ModuleDict",
    "ModuleList",
    "OpResult",
    "PairwiseJudgeEvaluator",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "RegexEvaluator",
    "Sequential",
    "Split",
    "StopReason",
    "StopReasonView",
    "Sum",
    "Tool",
    "Turns",
    "Version",
    "WeightedEvaluator",
    "add",
    "chat",
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
