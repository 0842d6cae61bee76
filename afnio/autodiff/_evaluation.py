"""What all evaluators share: samples, scores, words, and the verdict on each sample."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afnio._data import normalize
from afnio._text import cut_middle, describe, fence, fill, shorten
from afnio._variable import Variable
from afnio.autodiff._merge import batched, body_of, is_empty
from afnio.autodiff._ops_common import known
from afnio.autodiff._prompts import MISS_FEEDBACK, MISS_FEEDBACK_NO_TARGET
from afnio.autodiff.evidence import Evidence
from afnio.errors import InputTypeError, InputValueError

_SHOWN = 4_000
"""Characters of a prediction or target shown in feedback."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """How the scores of a batch become one."""

    fn: Callable[[list[Any]], Any] | None
    purpose: str | Variable | None
    """What it computes, in words."""

    @property
    def is_known(self) -> bool:
        """Whether it is quick and none of the user's code."""
        return self.fn is None or any(self.fn is known for known in _KNOWN)


_KNOWN: Final = (builtins.sum, builtins.min, builtins.max)


def roles_of(prediction: Variable) -> tuple[str, str]:
    """Return the roles of score and explanation."""
    return (
        f"Evaluation result score of {prediction.role}",
        f"Evaluation result explanation of {prediction.role}",
    )


def validate(
    prediction: Any, target: Any, reduction: Reduction, *, optional: bool = False
) -> None:
    """Raise unless prediction, target and reduction fit together.

    Raises:
        InputTypeError: A wrong type.
        InputValueError: Lengths differ, or the reduction has no purpose.
    """
    validate_parts(prediction, reduction)
    _validate_target(target, optional)
    targets = [target] if isinstance(target, Variable) else []
    if (data := known([prediction, *targets])) is not None:
        pairs(data[0], data[1] if targets else target)


def validate_parts(prediction: Any, reduction: Reduction) -> None:
    """Raise unless prediction and reduction are of the right kind.

    Raises:
        InputTypeError: A wrong type.
        InputValueError: The reduction has no purpose.
    """
    if not isinstance(prediction, Variable):
        raise InputTypeError(
            f"prediction must be a Variable, got {type(prediction).__name__}: "
            f"{shorten(prediction)}."
        )
    if reduction.fn is not None and not callable(reduction.fn):
        raise InputTypeError(
            f"reduction_fn must be callable or None, got {type(reduction.fn).__name__}."
        )
    if reduction.fn is not None:
        require_words("reduction_fn_purpose", reduction.purpose)


def _validate_target(target: Any, optional: bool) -> None:
    if target is None and optional:
        return
    if isinstance(target, (str, Variable)):
        return
    if isinstance(target, (list, tuple)) and all(
        item is None or isinstance(item, str) for item in target
    ):
        return
    raise InputTypeError(
        "target must be a str, a list of str, or a Variable, which may hold numbers"
        f"{', or None' if optional else ''}; got {type(target).__name__}: "
        f"{shorten(target)}."
    )


def require_words(name: str, value: Any) -> None:
    """Raise unless ``value`` is non-empty text, or a Variable holding it."""
    value = value.data if isinstance(value, Variable) else value
    if not isinstance(value, str):
        raise InputTypeError(f"{name} must be a str, got {type(value).__name__}.")
    if not value.strip():
        raise InputValueError(f"{name} is empty; say in words what it does.")


def require_callable(name: str, value: Any, *, optional: bool = False) -> None:
    """Raise unless ``value`` can be called."""
    if not callable(value) and not (optional and value is None):
        raise InputTypeError(f"{name} must be callable, got {type(value).__name__}.")


def words(value: Any) -> Any:
    """Return a setting that may be wrapped in a Variable."""
    return value.data if isinstance(value, Variable) else value


def pairs(prediction: Any, target: Any) -> list[tuple[Any, Any]]:
    """Pair each prediction with its target; a scalar target is meant for all.

    Raises:
        InputValueError: Lengths differ, or one prediction meets a list of targets.
    """
    if not isinstance(prediction, list):
        if isinstance(target, (list, tuple)):
            raise InputValueError(
                "one prediction cannot be compared with several targets: got a "
                f"{describe(target)}."
            )
        return [(prediction, target)]
    if not isinstance(target, (list, tuple)):
        return [(item, target) for item in prediction]
    if len(prediction) != len(target):
        raise InputValueError(
            f"prediction is a {describe(prediction)}, but target is a "
            f"{describe(target)}; every sample needs its target."
        )
    return list(zip(prediction, target, strict=True))


def succeeded(score: Any, success_fn: Callable[[list[Any]], Any] | None) -> bool:
    """Whether a score is the best possible: by ``success_fn``, else True or 1."""
    if score is None:
        return False
    if success_fn is not None:
        return bool(success_fn([score]))
    return not isinstance(score, str) and bool(score == 1)


def require_text(value: Any, evaluation: str) -> str:
    """Return a prediction that has to be text.

    Raises:
        InputTypeError: It is something else, so it cannot be evaluated.
    """
    if not isinstance(value, str):
        raise InputTypeError(
            f"the {evaluation} evaluation needs text, got {type(value).__name__}: "
            f"{shorten(value)}."
        )
    return value


def reduce_scores(scores: list[Any], reduction: Reduction) -> Any:
    """Return the batch's score; samples that are missing do not count.

    A batch in which every sample is missing has no score.
    """
    if reduction.fn is None:
        return normalize(scores)
    present = [score for score in scores if score is not None]
    if scores and not present:
        return None
    return normalize(reduction.fn(present))


def sentence(purpose: str, record: Evidence) -> str:
    """Say in one sentence how a sample was scored."""
    against = "" if record.target is None else f" against the target '{record.target}'"
    return (
        f"The {purpose} evaluation compared the prediction '{record.output}'{against} "
        f"and gave the score: {record.score}."
    )


def conclude(
    purpose: str,
    records: Sequence[Evidence],
    reduction: Reduction,
    *,
    batch: bool,
    say: Callable[[Evidence], str] | None = None,
) -> tuple[Any, Any]:
    """Return score and explanation of all samples.

    Args:
        purpose: What the evaluation is, in words.
        records: One per sample.
        reduction: Makes one score of a batch's.
        batch: Whether the prediction is a batch.
        say: Explains one sample; without it, `sentence` does.
    """
    say = functools.partial(sentence, purpose) if say is None else say
    if not batch:
        return records[0].score, say(records[0])
    total = reduce_scores([record.score for record in records], reduction)
    sentences = [say(record) for record in records]
    return total, batch_explanation(purpose, sentences, reduction, total)


def batch_explanation(
    purpose: str, sentences: list[str], reduction: Reduction, total: Any
) -> Any:
    """Explain a batch: a sentence per sample, or a list of them without reduction."""
    if reduction.fn is None:
        return sentences
    numbered = "\n".join(
        f"{index}: {sentence}" for index, sentence in enumerate(sentences)
    )
    return (
        f"{numbered}\nThe {purpose} evaluation was aggregated over {len(sentences)} "
        f"samples by {words(reduction.purpose)} and gave the aggregated score: {total}."
    )


def miss_feedback(purpose: str, role: str, record: Evidence) -> str:
    """Write, without a model, what to improve about a sample that was wrong."""
    template = MISS_FEEDBACK_NO_TARGET if record.target is None else MISS_FEEDBACK
    return fill(
        template,
        {
            "purpose": purpose,
            "role": role or "prediction",
            "score": record.score,
            "prediction": fenced(record.output, "prediction"),
            "target": fenced(record.target, "target"),
        },
    )


def fenced(value: Any, tag: str) -> str:
    """Return a value as text between tags, its middle cut if it is long."""
    return fence(cut_middle(str(value), _SHOWN), tag)


def gradient(
    prediction: Variable,
    records: Sequence[Evidence],
    incoming: Sequence[Variable],
    write: Callable[[Evidence], str],
) -> Variable:
    """Return the prediction's gradient: feedback for the samples that were wrong.

    Args:
        prediction: What was evaluated.
        records: One per sample.
        incoming: What was said about score and explanation, added to the feedback.
        write: Words the feedback on one sample.
    """
    is_batch = isinstance(prediction.data, list)
    extra = [
        batched(grad, len(records)) for grad in incoming if not is_empty(body_of(grad))
    ]
    texts = []
    for record in records:
        said = [] if record.success or record.score is None else [write(record)]
        said += [str(column[record.index]) for column in extra if said]
        texts.append("\n".join(text for text in said if text))
    empty = all(not text for text in texts)
    data: Any = "" if empty else (texts if is_batch else texts[0])
    result = Variable(data, f"feedback to {prediction.role}")
    result.evidence = tuple(
        record.but(critique=text) for record, text in zip(records, texts, strict=True)
    )
    return result
