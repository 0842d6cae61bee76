"""Modules: the building blocks of programs."""

from afnio.cognitive.modules.add import Add
from afnio.cognitive.modules.agent import Agent
from afnio.cognitive.modules.chat_completion import ChatCompletion
from afnio.cognitive.modules.container import (
    ModuleDict,
    ModuleList,
    ParameterDict,
    ParameterList,
    Sequential,
)
from afnio.cognitive.modules.deterministic_evaluator import DeterministicEvaluator
from afnio.cognitive.modules.exact_match_evaluator import ExactMatchEvaluator
from afnio.cognitive.modules.json_schema_evaluator import JSONSchemaEvaluator
from afnio.cognitive.modules.lm_judge_evaluator import LMJudgeEvaluator
from afnio.cognitive.modules.module import Module
from afnio.cognitive.modules.pairwise_judge_evaluator import PairwiseJudgeEvaluator
from afnio.cognitive.modules.regex_evaluator import RegexEvaluator
from afnio.cognitive.modules.split import Split
from afnio.cognitive.modules.sum import Sum
from afnio.cognitive.modules.tool import Tool
from afnio.cognitive.modules.weighted_evaluator import WeightedEvaluator

__all__ = [
    "Add",
    "Agent",
    "ChatCompletion",
    "DeterministicEvaluator",
    "ExactMatchEvaluator",
    "JSONSchemaEvaluator",
    "LMJudgeEvaluator",
    "Module",
    "ModuleDict",
    "ModuleList",
    "PairwiseJudgeEvaluator",
    "ParameterDict",
    "ParameterList",
    "RegexEvaluator",
    "Sequential",
    "Split",
    "Sum",
    "Tool",
    "WeightedEvaluator",
]
