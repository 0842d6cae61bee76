"""The operations as functions: ``import afnio.cognitive.functional as F``."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from afnio._variable import Variable
from afnio.autodiff import basic_ops, evaluator, lm_ops
from afnio.autodiff._chat import MultiTurnMessages

__all__ = [
    "add",
    "chat_completion",
    "deterministic_evaluator",
    "exact_match_evaluator",
    "lm_judge_evaluator",
    "split",
    "sum",
]


def add(x: Variable, y: Variable) -> Variable:
    """Add two Variables; see `afnio.autodiff.basic_ops.Add`.

    Example:
        >>> add(Variable("ab"), Variable("cd")).data
        'abcd'
    """
    return cast("Variable", basic_ops.Add.apply(x, y))


def sum(x: Sequence[Variable]) -> Variable:  # noqa: A001 - the documented name
    """Add a list or tuple of Variables; see `afnio.autodiff.basic_ops.Sum`.

    Example:
        >>> sum([Variable("a"), Variable("b")]).data
        '<ITEM>a</ITEM><ITEM>b</ITEM>'
    """
    return cast("Variable", basic_ops.Sum.apply(x))


def split(
    x: Variable, sep: str | Variable | None = None, maxsplit: int | Variable = -1
) -> tuple[Variable, ...]:
    """Split text as `str.split` does; see `afnio.autodiff.basic_ops.Split`.

    Example:
        >>> [part.data for part in split(Variable("a b c"), " ", 1)]
        ['a', 'b c']
    """
    return cast("tuple[Variable, ...]", basic_ops.Split.apply(x, sep, maxsplit))


def chat_completion(
    forward_model_client: Any,
    messages: MultiTurnMessages,
    inputs: Mapping[str, Any] | None = None,
    **completion_args: Any,
) -> Variable:
    """Ask a model for a reply; see `afnio.autodiff.lm_ops.ChatCompletion`.

    Model calls: one per sample.

    Example:
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

    Example:
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
) -> tuple[Variable, Variable]:
    """Score equality; see `afnio.autodiff.evaluator.ExactMatchEvaluator`.

    Example:
        >>> score, _ = exact_match_evaluator(Variable(["a", "b"]), ["a", "c"])
        >>> score.data
        1
    """
    pair = evaluator.ExactMatchEvaluator.apply(
        prediction, target, reduction_fn, reduction_fn_purpose
    )
    return cast("tuple[Variable, Variable]", pair)


def lm_judge_evaluator(
    forward_model_client: Any,
    messages: MultiTurnMessages,
    prediction: Variable,
    target: Any = None,
    inputs: Mapping[str, Any] | None = None,
    success_fn: Callable[[list[Any]], Any] | None = None,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable | None = "summation",
    eval_mode: bool | Variable = True,
    **completion_args: Any,
) -> tuple[Variable, Variable]:
    """Let a model score; see `afnio.autodiff.evaluator.LMJudgeEvaluator`.

    Model calls: one per sample, and up to 2 more while its reply is unusable.

    Example:
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
        **completion_args,
    )
    return cast("tuple[Variable, Variable]", pair)
