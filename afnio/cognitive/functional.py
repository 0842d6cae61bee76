"""The operations as functions: ``import afnio.cognitive.functional as F``."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from afnio._variable import Variable
from afnio.autodiff import basic_ops, evaluator, lm_ops
from afnio.autodiff._chat import MultiTurnMessages
from afnio.cognitive._conversation import (
    arun_tools,
    chat,
    last_replies,
    run_tools,
)
from afnio.models._chat_client import ChatClient

__all__ = [
    "add",
    "arun_tools",
    "chat",
    "chat_completion",
    "deterministic_evaluator",
    "exact_match_evaluator",
    "json_schema_evaluator",
    "last_replies",
    "lm_judge_evaluator",
    "pairwise_judge_evaluator",
    "regex_evaluator",
    "run_tools",
    "split",
    "sum",
    "weighted_evaluator",
]


def add(x: Variable, y: Variable) -> Variable:
    """Add two Variables; see `afnio.autodiff.basic_ops.Add`.

    Examples:
        >>> add(Variable("ab"), Variable("cd")).data
        'abcd'
    """
    return cast("Variable", basic_ops.Add.apply(x, y))


def sum(x: Sequence[Variable]) -> Variable:  # noqa: A001 - the documented name
    """Add a list or tuple of Variables; see `afnio.autodiff.basic_ops.Sum`.

    Examples:
        >>> sum([Variable("a"), Variable("b")]).data
        '<ITEM>a</ITEM><ITEM>b</ITEM>'
    """
    return cast("Variable", basic_ops.Sum.apply(x))


def split(
    x: Variable, sep: str | Variable | None = None, maxsplit: int | Variable = -1
) -> tuple[Variable, ...]:
    """Split text as `str.split` does; see `afnio.autodiff.basic_ops.Split`.

    Examples:
        >>> [part.data for part in split(Variable("a b c"), " ", 1)]
        ['a', 'b c']
    """
    return cast("tuple[Variable, ...]", basic_ops.Split.apply(x, sep, maxsplit))


def chat_completion(
    forward_model_client: ChatClient,
    messages: MultiTurnMessages,
    inputs: Mapping[str, Any] | None = None,
    **completion_args: Any,
) -> Variable:
    """Ask a model for a reply; see `afnio.autodiff.lm_ops.ChatCompletion`.

    Model calls: one per sample.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> ask = [{"role": "user", "content": [Variable("Say {word}.")]}]
        >>> chat_completion(ScriptedModel("Hi!"), ask, {"word": "hi"}).data
        'Hi!'
    """
    reply = lm_ops.ChatCompletion.apply(
        forward_model_client, messages, inputs, **completion_args
    )
    return cast("Variable", reply)


def deterministic_evaluator(
    prediction: Variable,
    target: Any,
    eval_fn: Callable[[Any, Any], Any],
    eval_fn_purpose: str | Variable,
    success_fn: Callable[[list[Any]], Any] | None = None,
    reduction_fn: Callable[[list[Any]], Any] | None = None,
    reduction_fn_purpose: str | Variable | None = None,
) -> tuple[Variable, Variable]:
    """Score with a function; see `afnio.autodiff.evaluator.DeterministicEvaluator`.

    Examples:
        >>> longer = lambda prediction, target: len(prediction) > len(target)
        >>> score, _ = deterministic_evaluator(
        ...     Variable("green"), "red", longer, "longer"
        ... )
        >>> score.data
        True
    """
    pair = evaluator.DeterministicEvaluator.apply(
        prediction,
        target,
        eval_fn,
        eval_fn_purpose,
        success_fn,
        reduction_fn,
        reduction_fn_purpose,
    )
    return cast("tuple[Variable, Variable]", pair)


def exact_match_evaluator(
    prediction: Variable,
    target: Any,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable | None = "summation",
    normalize: Any = None,
    tolerance: float | Variable | None = None,
) -> tuple[Variable, Variable]:
    """Score equality; see `afnio.autodiff.evaluator.ExactMatchEvaluator`.

    Examples:
        >>> score, _ = exact_match_evaluator(
        ...     Variable(["A", "b"]), ["a", {"c", "d"}], normalize="casefold"
        ... )
        >>> score.data
        1
    """
    pair = evaluator.ExactMatchEvaluator.apply(
        prediction, target, reduction_fn, reduction_fn_purpose, normalize, tolerance
    )
    return cast("tuple[Variable, Variable]", pair)


def lm_judge_evaluator(
    forward_model_client: ChatClient,
    messages: MultiTurnMessages,
    prediction: Variable,
    target: Any = None,
    inputs: Mapping[str, Any] | None = None,
    success_fn: Callable[[list[Any]], Any] | None = None,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable | None = "summation",
    eval_mode: bool | Variable = True,
    score_range: Any = None,
    response_schema: bool | Variable = False,
    **completion_args: Any,
) -> tuple[Variable, Variable]:
    """Let a model score; see `afnio.autodiff.evaluator.LMJudgeEvaluator`.

    Model calls: one per sample, and up to 2 more while its reply is unusable.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> judge = ScriptedModel('{"score": 1, "explanation": "Right."}')
        >>> ask = [{"role": "user", "content": [Variable("Is {prediction} a colour?")]}]
        >>> score, why = lm_judge_evaluator(judge, ask, Variable("red"))
        >>> score.data, why.data
        (1, 'Right.')
    """
    pair = evaluator.LMJudgeEvaluator.apply(
        forward_model_client,
        messages,
        prediction,
        target,
        inputs,
        success_fn,
        reduction_fn,
        reduction_fn_purpose,
        eval_mode,
        score_range,
        response_schema,
        **completion_args,
    )
    return cast("tuple[Variable, Variable]", pair)


def pairwise_judge_evaluator(
    forward_model_client: ChatClient,
    messages: MultiTurnMessages,
    prediction: Variable,
    target: Any,
    inputs: Mapping[str, Any] | None = None,
    swap: bool | Variable = True,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable | None = "summation",
    **completion_args: Any,
) -> tuple[Variable, Variable]:
    """Compare with a reference; `afnio.autodiff.evaluator.PairwiseJudgeEvaluator`.

    ``response_schema=True`` among ``completion_args`` constrains the judge's replies.

    Model calls: two per sample, one without ``swap``; more while replies are unusable.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> judge = ScriptedModel('{"explanation": "Alike.", "winner": "tie"}')
        >>> ask = [{"role": "user", "content": [Variable("{first} or {second}?")]}]
        >>> score, _ = pairwise_judge_evaluator(judge, ask, Variable("Hi"), "Hello")
        >>> score.data
        0.5
    """
    pair = evaluator.PairwiseJudgeEvaluator.apply(
        forward_model_client,
        messages,
        prediction,
        target,
        inputs,
        swap,
        reduction_fn,
        reduction_fn_purpose,
        **completion_args,
    )
    return cast("tuple[Variable, Variable]", pair)


def regex_evaluator(
    prediction: Variable,
    pattern: Any,
    mode: str | Variable = "search",
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable | None = "summation",
) -> tuple[Variable, Variable]:
    r"""Score the form of text; see `afnio.autodiff.evaluator.RegexEvaluator`.

    Examples:
        >>> score, _ = regex_evaluator(Variable(["No. 7", "none"]), r"\d")
        >>> score.data
        1
    """
    pair = evaluator.RegexEvaluator.apply(
        prediction, pattern, mode, reduction_fn, reduction_fn_purpose
    )
    return cast("tuple[Variable, Variable]", pair)


def json_schema_evaluator(
    prediction: Variable,
    schema: Any,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable | None = "summation",
) -> tuple[Variable, Variable]:
    """Score the form of JSON; see `afnio.autodiff.evaluator.JSONSchemaEvaluator`.

    Examples:
        >>> from pydantic import BaseModel
        >>> class City(BaseModel):
        ...     name: str
        >>> json_schema_evaluator(Variable('{"name": "Rome"}'), City)[0].data
        1
    """
    pair = evaluator.JSONSchemaEvaluator.apply(
        prediction, schema, reduction_fn, reduction_fn_purpose
    )
    return cast("tuple[Variable, Variable]", pair)


def weighted_evaluator(
    evaluations: Sequence[Sequence[Variable]],
    weights: Sequence[float] | Variable | None = None,
    names: Sequence[str] | None = None,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable | None = "summation",
) -> tuple[Variable, Variable]:
    """Combine evaluations; see `afnio.autodiff.evaluator.WeightedEvaluator`.

    Examples:
        >>> answer = Variable("42 km")
        >>> right, form = exact_match_evaluator(answer, "42"), regex_evaluator(
        ...     answer, "km$"
        ... )
        >>> weighted_evaluator([right, form], [3, 1])[0].data
        0.25
    """
    pair = evaluator.WeightedEvaluator.apply(
        evaluations, weights, names, reduction_fn, reduction_fn_purpose
    )
    return cast("tuple[Variable, Variable]", pair)
