"""Programs made of language-model calls: modules, parameters, and functions."""

from afnio.cognitive import functional
from afnio.cognitive.functional import (
    add,
    chat_completion,
    deterministic_evaluator,
    exact_match_evaluator,
    lm_judge_evaluator,
    split,
    sum,  # noqa: A004, F401 - documented; see below
)
from afnio.cognitive.modules import (
    Add,
    ChatCompletion,
    DeterministicEvaluator,
    ExactMatchEvaluator,
    LMJudgeEvaluator,
    Module,
    ModuleDict,
    ModuleList,
    ParameterDict,
    ParameterList,
    Sequential,
    Split,
    Sum,
)
from afnio.cognitive.parameter import Demonstrations, Parameter

# `sum` is an attribute, as documented, but not listed here: a star import must not
# replace the built-in.
__all__ = [
    "Add",
    "ChatCompletion",
    "Demonstrations",
    "DeterministicEvaluator",
    "ExactMatchEvaluator",
    "LMJudgeEvaluator",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "Sequential",
    "Split",
    "Sum",
    "add",
    "chat_completion",
    "deterministic_evaluator",
    "exact_match_evaluator",
    "functional",
    "lm_judge_evaluator",
    "split",
]
